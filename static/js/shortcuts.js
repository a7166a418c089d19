/** Commands and their keys. */
const commands = [];

/** Adds a command: `keys` such as "Alt+U", by the letters of the keyboard. */
export function register(name, label, keys, action) {
  commands.push({ name, label, keys, action });
}

document.addEventListener("keydown", (event) => {
  const modifiers = [["Ctrl", event.ctrlKey], ["Alt", event.altKey], ["Shift", event.shiftKey], ["Meta", event.metaKey]];
  const key = event.code.replace(/^(?:Key|Digit)/, "");
  const keys = [...modifiers.filter(([, isPressed]) => isPressed).map(([name]) => name), key].join("+");
  const command = commands.find((each) => each.keys === keys);
  if (!command) return;
  event.preventDefault();
  command.action();
});
