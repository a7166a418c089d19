/** Fetches the times of words. After that <live-transcript> gets the event `times-loaded`. */
import { segments } from "./transcript-text.js";

const page = document.querySelector("live-transcript");
let loading = null;

/** Fetches the times of segments that have none. Resolves to whether all times are known. */
export async function loadTimes() {
  loading ??= fetchTimes();
  const isLoaded = await loading;
  if (!isLoaded) loading = null;
  return isLoaded;
}

/**
 * Resolves to whether the words of these parts of the text ({ segment }) are known. While they are
 * not, a part would count as its whole segment.
 */
export async function knowWords(parts) {
  return parts.every(({ segment }) => segment.words) || loadTimes();
}

async function fetchTimes() {
  // While they are fetched, edits may move segments: times belong to those that were there before.
  const before = segments.map((segment) => ({ segment, content: segment.text }));
  const response = await fetch(`/api/transcriptions/${page.dataset.id}/words`).catch(() => null);
  const body = response?.ok ? await response.json().catch(() => null) : null;
  for (const times of body?.segments ?? []) {
    const { segment, content } = before[times.id - 1] ?? {};
    if (segment && !segment.words && segment.text === content) segment.words = times;
  }
  if (body) page.dispatchEvent(new CustomEvent("times-loaded"));
  return Boolean(body);
}
