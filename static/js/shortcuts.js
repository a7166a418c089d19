/**
 * The commands of a page and their keys: one table for keyboards, foot pedals and headsets. Users
 * can change the keys, see <shortcuts-dialog>.
 *
 * A key is written as "Alt+K": Ctrl, Alt, Shift, Meta in this order, then the letter or the name in
 * `KeyboardEvent.key`, or "Space". "Mod" stands for Ctrl, and for Command on a Mac. Keys with Ctrl,
 * Alt or Meta, function keys and media keys work while the user types; all others only outside of
 * text.
 */
import { isComposing } from "./text.js";

const STORED = "shortcuts"; // the localStorage key of the user's changes
const WORKS_WHILE_TYPING = /^(Ctrl|Alt|Meta)\+|^(Shift\+)?(F\d+$|Media|Audio|Launch|Browser)/;
const MODIFIERS = ["Control", "Alt", "AltGraph", "Shift", "Meta", "CapsLock", "Fn"];
const PUNCTUATION = {
  Comma: ",", Period: ".", Slash: "/", Minus: "-", Equal: "=", BracketLeft: "[", BracketRight: "]",
  Semicolon: ";", Quote: "'", Backquote: "`", Backslash: "\\",
};
const FIELD = "input, textarea, select";
// Space and Enter press these. Buttons that Tab skips are pressed with the mouse alone.
const PRESSED = "button:not([tabindex='-1']), a[href], summary, audio, video[controls]";

export const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
const commands = new Map(); // by name, in the order in which they are listed

/**
 * Adds or replaces a command. `label` says what it does, `keys` are its default keys.
 * `action` gets the event of the key; if it returns false, the key keeps its usual effect.
 */
export function register(name, label, keys, action) {
  const defaults = keys.map((key) => key.replace("Mod+", isMac ? "Meta+" : "Ctrl+"));
  commands.set(name, { name, label, defaults, action });
}

/** Runs the command of this name, if there is one. */
export function run(name) {
  commands.get(name)?.action();
}

/** All commands: their name, label, present keys, and whether the user has changed them. */
export function allCommands() {
  const changed = storedKeys();
  return [...commands.values()].map(({ name, label, defaults }) => {
    const own = changed[name];
    return { name, label, keys: own ?? defaults, isChanged: own !== undefined };
  });
}

/**
 * Gives a command these keys and takes them from others; without keys, it gets its default ones.
 */
export function setKeys(name, keys) {
  const stored = storedKeys();
  for (const other of keys ? allCommands() : []) {
    const left = other.keys.filter((key) => !keys.includes(key));
    if (other.name !== name && left.length < other.keys.length) stored[other.name] = left;
  }
  if (keys) stored[name] = keys;
  else delete stored[name];
  store(stored);
}

export function resetKeys() {
  store({});
}

/** The name of the pressed key; empty for a modifier alone and for characters of AltGr. */
export function keyName(event) {
  if (MODIFIERS.includes(event.key) || event.getModifierState?.("AltGraph")) return "";
  const key = event.key === " " ? "Space" : withoutLayout(event);
  const isShifted = event.shiftKey && (key.length > 1 || /\p{L}/u.test(key));
  const modifiers = { Ctrl: event.ctrlKey, Alt: event.altKey, Shift: isShifted, Meta: event.metaKey };
  return [...Object.keys(modifiers).filter((name) => modifiers[name]), key].join("+");
}

/** With a modifier other layouts, and Option on a Mac, give other characters: then the key counts. */
function withoutLayout({ key, code, ctrlKey, altKey, metaKey }) {
  if (key.length > 1 && key !== "Dead") return key;
  const isPlain = !(ctrlKey || altKey || metaKey) || /^[!-~]$/.test(key);
  const onKeyboard = PUNCTUATION[code] ?? code?.match(/^(?:Key|Digit)(.)$/)?.[1];
  return (isPlain ? key : onKeyboard ?? key).toUpperCase();
}

function handle(event) {
  if (isComposing(event) || document.querySelector("dialog[open]")) return;
  const key = keyName(event);
  const found = key && allCommands().find(({ keys }) => keys.includes(key));
  if (!found || isNeededBy(event.target, key)) return;
  if (commands.get(found.name).action(event) === false) return;
  event.preventDefault();
  event.stopPropagation();
}

/** Whether an element itself uses the key. */
function isNeededBy(target, key) {
  if (WORKS_WHILE_TYPING.test(key) || !(target instanceof Element)) return false;
  if (target.closest(FIELD) || target.isContentEditable) return true;
  if (/(Space|Enter)$/.test(key)) return Boolean(target.closest(PRESSED));
  return Boolean(target.closest("[role=slider]")) && /Arrow|Page|Home|End/.test(key);
}

function storedKeys() {
  try {
    const stored = Object.entries(JSON.parse(localStorage.getItem(STORED)) ?? {});
    const isList = ([, keys]) => Array.isArray(keys) && keys.every((key) => typeof key === "string");
    return Object.fromEntries(stored.filter(isList));
  } catch {
    return {};
  }
}

function store(keys) {
  try {
    localStorage.setItem(STORED, JSON.stringify(keys));
  } catch {} // storage is full or turned off
}

// Before the text that is edited gets the key.
document.addEventListener("keydown", handle, { capture: true });
