/**
 * What this browser stores for the player: its settings, and the last position in each recording.
 */
const SETTINGS = "player-settings", POSITIONS = "player-positions"; // keys in localStorage
const MAX_POSITIONS = 200;
const DEFAULTS = { speed: 1, step: 5, rewind: 1, video: true }; // step and rewind in seconds

export function settings() {
  const known = Object.entries(read(SETTINGS)).filter(([name, value]) => isValid(name, value));
  return { ...DEFAULTS, ...Object.fromEntries(known) };
}

export function saveSetting(name, value) {
  write(SETTINGS, { ...settings(), [name]: value });
  document.dispatchEvent(new CustomEvent("player-settings"));
}

/** Seconds; 0 if the recording was not played here, or was played to its end. */
export function savedPosition(id) {
  const seconds = read(POSITIONS)[id];
  return Number.isFinite(seconds) && seconds > 0 ? seconds : 0;
}

/** Stores the position. The recording becomes the newest one. */
export function savePosition(id, seconds) {
  const { [id]: _, ...others } = read(POSITIONS);
  const entries = Object.entries(others);
  if (seconds > 0) entries.push([id, Math.round(seconds * 10) / 10]);
  write(POSITIONS, Object.fromEntries(entries.slice(-MAX_POSITIONS)));
}

function isValid(name, value) {
  if (typeof value !== typeof DEFAULTS[name]) return false;
  return typeof value !== "number" || (value >= 0 && value <= 60);
}

function read(key) {
  try {
    const value = JSON.parse(localStorage.getItem(key));
    return value && typeof value === "object" ? value : {};
  } catch {
    return {};
  }
}

function write(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {} // storage is full or turned off
}
