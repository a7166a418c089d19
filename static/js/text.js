/**
 * The translated text in the attribute `data-text-…` of an element, with each {name} replaced by
 * the value of that name.
 */
export function text(element, key, values = {}) {
  const template = element.dataset[`text${key[0].toUpperCase()}${key.slice(1)}`] ?? "";
  return template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** A text with single spaces only, as the server stores it. */
export function normalize(content) {
  return content.replace(/\s+/g, " ").trim();
}

/** Whether a key belongs to an input method. In Safari the one that ends it only has this code. */
export function isComposing({ isComposing: isUnfinished, keyCode }) {
  return isUnfinished || keyCode === 229;
}
