/**
 * Forms with the options of an export. An element with `data-option` is shown if the chosen format
 * uses that option; the browser remembers fields with `data-remember`.
 */
import { rememberFields, restoreFields } from "./remembered-fields.js";
import { csrfToken, errorMessage } from "./requests.js";
import { text } from "./text.js";

const STORAGE_KEY = "export-options";

/** The <option> of the chosen format. */
export function chosenFormat(form) {
  return form.elements.format.selectedOptions[0];
}

/** Shows the options that the format uses; fields that are hidden are disabled. */
export function showUsedOptions(form) {
  const used = chosenFormat(form).dataset.uses.split(" ");
  for (const option of form.querySelectorAll("[data-option]")) {
    option.hidden = !used.includes(option.dataset.option);
    option.querySelector("input, select").disabled = option.hidden;
  }
  for (const group of form.querySelectorAll("details, .export-switches")) {
    group.hidden = !group.querySelector("[data-option]:not([hidden])");
  }
}

/** The options as parameters of the API. Empty fields are left out. */
export function chosenOptions(form) {
  const fields = [...form.elements].filter((field) => field.name && !field.disabled);
  return Object.fromEntries(fields.map((field) => [field.name, valueOf(field)])
    .filter(([, value]) => value !== ""));
}

function valueOf(field) {
  if (field.type === "checkbox") return String(field.checked);
  return "time" in field.dataset ? toSeconds(field.value) : field.value.trim();
}

/** Seconds of h:mm:ss, m:ss or s. */
function toSeconds(time) {
  if (!time.trim()) return "";
  const parts = time.trim().replace(",", ".").split(":");
  return String(parts.reduce((seconds, part) => 60 * seconds + Number(part), 0));
}

/** Stores the choice in this browser. */
export function rememberChoice(form) {
  rememberFields(form, STORAGE_KEY);
}

/** Restores the choice, except for values that are no longer offered, such as a deleted profile. */
export function restoreChoice(form) {
  restoreFields(form, STORAGE_KEY);
}

/** A file from the API: its content and name. Throws an Error with a message for the user. */
export async function requestFile(element, url, options = {}) {
  const headers = { "X-CSRFToken": csrfToken(), ...options.headers };
  const response = await fetch(url, { ...options, headers }).catch(() => null);
  if (!response) throw new Error(text(element, "unreachable"));
  if (!response.ok) {
    throw new Error(errorMessage(response.status, await response.json().catch(() => null)));
  }
  const content = await response.blob().catch(() => { throw new Error(text(element, "unreachable")); });
  return { content, name: fileName(response.headers.get("Content-Disposition") ?? "") };
}

function fileName(disposition) {
  const encoded = disposition.match(/filename\*=utf-8''([^;]+)/i)?.[1];
  if (encoded) return decodeURIComponent(encoded);
  return disposition.match(/filename="((?:[^"\\]|\\.)*)"/)?.[1].replace(/\\(.)/g, "$1") ?? "";
}

/** Lets the browser save a file. */
export function saveFile({ content, name }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // Safari reads it later
}
