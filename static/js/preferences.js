/** The reader's preferences, stored in this browser; all are on until switched off. */
const listeners = [];

/** Whether a preference is on. */
export function isPreferred(name) {
  return stored(name) !== "off";
}

/** Calls a function when a preference has changed. */
export function onPreference(name, action) {
  listeners.push([name, action]);
}

for (const box of document.querySelectorAll("[data-preference]")) {
  const { preference } = box.dataset;
  box.checked = isPreferred(preference);
  box.addEventListener("change", () => {
    try {
      localStorage.setItem(`preference-${preference}`, box.checked ? "on" : "off");
    } catch { /* no storage: it is as before on the next page */ }
    for (const [name, action] of listeners) if (name === preference) action(box.checked);
  });
}

function stored(name) {
  const box = document.querySelector(`[data-preference="${name}"]`);
  try {
    return localStorage.getItem(`preference-${name}`) ?? "on";
  } catch {
    return box?.checked === false ? "off" : "on";
  }
}
