/**
 * The text `data-text-…` of an element, which the server has translated; each {name} in it is
 * replaced by the value of that name.
 */
export function text(element, key, values = {}) {
  const template = element.dataset[`text${key[0].toUpperCase()}${key.slice(1)}`] ?? "";
  return template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
