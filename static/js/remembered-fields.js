/** Fields with `data-remember`: the browser stores the choice, by the name of the field. */

/** Stores the choice under `key`. */
export function rememberFields(container, key) {
  const fields = [...container.querySelectorAll("[data-remember]")];
  const choice = fields.map((field) => [field.name, field.type === "checkbox" ? field.checked : field.value]);
  try {
    localStorage.setItem(key, JSON.stringify({ ...storedChoice(key), ...Object.fromEntries(choice) }));
  } catch {} // storage is full or turned off
}

/** Restores the choice, except for values that are no longer offered, such as a deleted profile. */
export function restoreFields(container, key) {
  for (const [name, value] of Object.entries(storedChoice(key))) {
    const field = container.querySelector(`[data-remember][name="${CSS.escape(name)}"]`);
    if (field?.type === "checkbox") field.checked = value === true;
    else if ([...field?.options ?? []].some((option) => option.value === value)) field.value = value;
  }
}

function storedChoice(key) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? {};
  } catch {
    return {};
  }
}
