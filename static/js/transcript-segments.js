/** The segments of the transcript with their elements. Other modules use transcript-text.js. */
import { timesOf } from "./word-times.js";

const root = document.querySelector("#segments");
const bySpan = new WeakMap();

/** { id, start, end, speaker, channel, text, element, words }: seconds; `text` is the server's. */
export const segments = [...root.querySelectorAll(".segment")].map(read);

for (const conflict of root.querySelectorAll("segment-conflict")) {
  segments[conflict.dataset.of - 1].conflict = conflict;
}

/** The segment that contains an element; null if there is none. */
export function segmentOf(element) {
  return bySpan.get(element?.closest?.(".segment")) ?? null;
}

/** The segments of a paragraph, or of a group of them. */
export function segmentsIn(element) {
  return [...element.querySelectorAll(".segment")].map((span) => bySpan.get(span));
}

function read(element) {
  const { segment: id, start, end, speaker, channel, paragraph } = element.dataset;
  const segment = {
    id: Number(id), start: Number(start), end: Number(end), speaker: Number(speaker) || null,
    channel: channel ? Number(channel) : null, paragraph: paragraph ? paragraph === "true" : null,
    text: element.textContent, element, words: null,
  };
  bySpan.set(element, segment);
  return segment;
}

export function create(data) {
  const element = Object.assign(document.createElement("span"), { className: "segment" });
  bySpan.set(element, { element });
  return update(bySpan.get(element), data);
}

export function update(segment, { id, start, end, speaker, channel, paragraph, text, words }) {
  Object.assign(segment, { id, start, end, channel: channel ?? null, paragraph: paragraph ?? null, text });
  segment.words = words ? timesOf(text, words) : null;
  const { element } = segment;
  Object.assign(element.dataset, { segment: id, start: start.toFixed(3), end: end.toFixed(3) });
  if (segment.channel !== null) element.dataset.channel = channel;
  if (element.textContent !== text || element.childNodes.length !== 1) element.textContent = text;
  setSpeaker(segment, speaker);
  return segment;
}

export function setSpeaker(segment, speaker) {
  segment.speaker = speaker ?? null;
  if (speaker) segment.element.dataset.speaker = speaker;
  else delete segment.element.dataset.speaker;
}

export function renumber(from) {
  for (let index = from; index < segments.length; index += 1) {
    segments[index].id = index + 1;
    segments[index].element.dataset.segment = index + 1;
  }
}
