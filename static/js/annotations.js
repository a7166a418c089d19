/**
 * The highlights, comments and bookmarks of the transcript, in order of time. After each change
 * <live-transcript> gets the event `annotations-changed`.
 */
import { errorMessage, sendJson } from "./requests.js";
import { text } from "./text.js";
import { wordOf } from "./transcript-text.js";

export const COLORS = ["yellow", "green", "blue", "pink"];

/** { id, kind, start, end, quote, body, color }: seconds; `kind` is highlight, comment or bookmark. */
export const annotations = [];

const page = document.querySelector("live-transcript");
const host = document.querySelector("transcript-notes"); // has the error messages
const url = `/api/transcriptions/${page.dataset.id}/annotations`;
let loading = null;

/** Fetches all of them, unless they are loaded. Resolves to the problem; empty if there is none. */
export async function load() {
  loading ??= fetchAll();
  const problem = await loading;
  if (problem) loading = null;
  return problem;
}

async function fetchAll() {
  const response = await fetch(url).catch(() => null);
  const body = await response?.json().catch(() => null);
  if (!response?.ok || !body) return response ? errorMessage(response.status, body) : text(host, "unreachable");
  annotations.splice(0, annotations.length, ...body);
  changed();
  return "";
}

/** Adds one. Resolves to the problem; empty if it is stored. */
export async function add(fields) {
  const { body, problem } = await sendJson(host, "POST", url, fields);
  if (problem) return problem;
  await load();
  if (!annotations.some(({ id }) => id === body.id)) annotations.push(body);
  changed();
  return "";
}

/** Changes the body or the color. Resolves to the problem. */
export async function change({ id }, fields) {
  const { body, problem } = await sendJson(host, "PATCH", `${url}/${id}`, fields);
  if (problem) return problem;
  annotations.splice(annotations.findIndex((each) => each.id === id), 1, body);
  changed();
  return "";
}

/** Deletes one. Resolves to the problem. */
export async function remove({ id }) {
  const { problem } = await sendJson(host, "DELETE", `${url}/${id}`);
  if (problem) return problem;
  annotations.splice(annotations.findIndex((each) => each.id === id), 1);
  changed();
  return "";
}

/**
 * The [from, to] of the words of a segment that are spoken between two moments; null if there are
 * none. While the times of words are unknown, the whole segment.
 */
export function offsetsBetween(segment, start, end) {
  if (segment.start > end || segment.end < start) return null;
  const { words } = segment;
  if (!words?.at.length) return segment.start < end && segment.end > start ? [0, segment.text.length] : null;
  const isInside = (at, index) => {
    const middle = at / 1000 + words.length[index] / 2000;
    return middle >= start && middle <= end;
  };
  const first = words.start.findIndex(isInside);
  if (first < 0) return null;
  return [wordOf(segment, first).from, wordOf(segment, words.start.findLastIndex(isInside)).to];
}

function changed() {
  annotations.sort((a, b) => a.start - b.start || a.id - b.id);
  page.dispatchEvent(new CustomEvent("annotations-changed", { detail: annotations }));
}

requestAnimationFrame(() => setTimeout(load)); // later, because the text can be read without them
