/**
 * <shortcuts-dialog>: the keys of all commands of the page. A key can be removed with a click, and
 * added by pressing it, on any device that sends keys.
 */
import { saveSetting, settings } from "./player-memory.js";
import { allCommands, isMac, keyName, register, resetKeys, setKeys } from "./shortcuts.js";
import { text } from "./text.js";

const NEEDED = /^(Shift\+)?(Tab|Escape|Enter)$|^(Alt\+)?\d$/; // by the dialog and the page
const MAC_NAMES = { Ctrl: "⌃", Alt: "⌥", Shift: "⇧", Meta: "⌘" };

customElements.define("shortcuts-dialog", class extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    this.status = this.querySelector("[role=status]");
    this.row = this.querySelector("template").content.firstElementChild;
    for (const key of this.querySelectorAll(".key-fixed")) key.textContent = shown(key.textContent);
    register("shortcuts", text(this, "shortcuts"), ["?", "Alt+/"], () => this.open());
    document.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-shortcuts]");
      button?.closest("[popover]")?.hidePopover();
      if (button) this.open();
    });
    this.dialog.addEventListener("keydown", (event) => this.keyPressed(event), { capture: true });
    this.dialog.addEventListener("focusout", () => this.stopListening());
    this.dialog.addEventListener("cancel", (event) => { if (this.listening) event.preventDefault(); });
    this.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
    this.querySelector("[data-reset]").addEventListener("click", () => this.reset());
    for (const field of this.querySelectorAll("[data-setting]")) {
      field.addEventListener("change", () => saveSetting(field.name, Number(field.value)));
    }
  }

  open() {
    const values = settings();
    for (const field of this.querySelectorAll("[data-setting]")) field.value = values[field.name];
    this.say("");
    this.show();
    this.dialog.showModal();
    this.querySelector(".shortcuts-body").scrollTop = 0;
  }

  show() {
    const rows = allCommands().map((command) => this.rowOf(command));
    this.querySelector("[data-commands]").replaceChildren(...rows);
    this.querySelector("[data-reset]").disabled = !allCommands().some(({ isChanged }) => isChanged);
  }

  rowOf(command) {
    const row = this.row.cloneNode(true);
    row.dataset.command = command.name;
    row.querySelector("th").textContent = command.label;
    row.querySelector(".keys").replaceChildren(...command.keys.map((key) => this.keyOf(command, key)));
    const add = row.querySelector("[data-add]");
    add.setAttribute("aria-label", text(this, "addTo", { command: command.label }));
    add.addEventListener("click", () => this.listen(command, add));
    return row;
  }

  keyOf(command, key) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "key" });
    button.setAttribute("aria-label", text(this, "remove", { key: shown(key), command: command.label }));
    const label = document.createElement("kbd");
    label.textContent = shown(key);
    button.append(label);
    button.addEventListener("click", () => {
      setKeys(command.name, command.keys.filter((other) => other !== key));
      this.changed(command, text(this, "removed", { key: shown(key), command: command.label }));
    });
    return button;
  }

  changed(command, message) {
    this.listening = null;
    this.show();
    this.querySelector(`[data-command="${command.name}"] [data-add]`).focus();
    this.say(message);
  }

  reset() {
    resetKeys();
    this.show();
    this.say(text(this, "resetDone"));
    this.querySelector("[data-close]").focus();
  }

  say(message) {
    this.status.textContent = message;
  }

  // --- A new key ------------------------------------------------------------------------------

  listen(command, button) {
    this.listening = { command, button, label: button.textContent, refused: "" };
    button.textContent = text(this, "press");
    this.say(text(this, "pressFor", { command: command.label }));
  }

  stopListening() {
    if (!this.listening) return;
    this.listening.button.textContent = this.listening.label;
    this.listening = null;
    this.say("");
  }

  keyPressed(event) {
    if (!this.listening) return;
    const key = keyName(event);
    if (key === "Tab" || key === "Shift+Tab") return; // moves the focus, which ends it
    event.preventDefault();
    event.stopPropagation();
    if (key === "Escape") this.stopListening();
    else if (key && NEEDED.test(key)) this.say(text(this, "needed", { key: shown(key) }));
    else if (key && !event.repeat) this.add(key);
  }

  /** Adds the key. If another command has it, it must be pressed twice. */
  add(key) {
    const { command, refused } = this.listening;
    const other = allCommands().find(({ name, keys }) => name !== command.name && keys.includes(key));
    if (other && refused !== key) {
      this.listening.refused = key;
      this.say(text(this, "conflict", { key: shown(key), command: other.label }));
      return;
    }
    setKeys(command.name, [...new Set([...command.keys, key])]);
    this.changed(command, text(this, "added", { key: shown(key), command: command.label }));
  }
});

/** The key as it is labeled on a keyboard. */
function shown(key) {
  return isMac ? key.replace(/\b(Ctrl|Alt|Shift|Meta)\+/g, (_, name) => MAC_NAMES[name]) : key;
}
