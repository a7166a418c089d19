/**
 * The text of the transcript: all segments in order, with their elements. Other modules read and
 * change the text only by these functions. After a change <live-transcript> gets the event
 * `text-changed` with the `paragraphs` (elements) that are new or have changed.
 */
import { formatDuration } from "./duration.js";
import { divided, goesOn, separator } from "./paragraphs.js";
import { keepCaret } from "./text-positions.js";
import { timesOf } from "./word-times.js";

export { positionOf, rangeOf, segmentAt, segmentWithCaret, wordAt, wordAtTime, wordOf } from "./text-positions.js";

const LOOKS = ["speaker", "channel", "paragraph"]; // that divide paragraphs

const page = document.querySelector("live-transcript");
const root = document.querySelector("#segments");
const template = document.querySelector("#paragraph-template");
const bySpan = new WeakMap();

/** { id, start, end, speaker, channel, text, element, words }: seconds; `text` is the server's. */
export const segments = [...root.querySelectorAll(".segment")].map(read);

for (const conflict of root.querySelectorAll("segment-conflict")) {
  segments[conflict.dataset.of - 1].conflict = conflict;
}

/** The segment of an element in it; null if there is none. */
export function segmentOf(element) {
  return bySpan.get(element?.closest?.(".segment")) ?? null;
}

/** The segments of a paragraph. */
export function segmentsIn(paragraph) {
  return [...paragraph.querySelectorAll(".segment")].map((span) => bySpan.get(span));
}

/** Adds a segment of the server at the end. */
export function append(data) {
  const segment = create(data);
  const last = root.lastElementChild;
  const paragraph = last && segmentsIn(last);
  segments.push(segment);
  if (paragraph && goesOn(paragraph, segment)) {
    last.querySelector(".paragraph-text").append(spaceAfter(paragraph.at(-1), segment), segment.element);
  } else root.append(build([segment]));
  changed([root.lastElementChild]);
  return segment;
}

/**
 * Replaces the segments with the numbers `from` to `to` by segments of the server; those after them
 * get new numbers. `from: 6, to: 5` inserts before segment 6. The caret stays where it is in the text.
 * Returns the segments.
 */
export function replace(from, to, replacements) {
  const old = segments.slice(from - 1, to);
  const restoreCaret = keepCaret(old);
  const isSame = old.length === replacements.length
    && old.every((segment, index) => LOOKS.every((name) => segment[name] === (replacements[index][name] ?? null)));
  const fresh = replacements.map((data, index) => (isSame ? update(old[index], data) : create(data)));
  let paragraphs = [...new Set(fresh.map(({ element }) => element.closest(".paragraph")))];
  if (isSame) for (const segment of fresh.filter(isFirst)) showStart(segment);
  else {
    segments.splice(from - 1, old.length, ...fresh);
    if (fresh.length !== old.length) renumber(from - 1);
    paragraphs = regroup(from - 1, from - 1 + fresh.length, old);
  }
  restoreCaret(fresh);
  changed(paragraphs);
  return fresh;
}

/** What the server knows of a segment that is shown already. What was typed since stays. */
export function refresh(segment, data) {
  const shown = segment.element.textContent;
  const words = normalize(shown) === data.text ? timesOf(shown, data.words) : null;
  Object.assign(segment, { start: data.start, end: data.end, words });
  Object.assign(segment.element.dataset, { start: data.start.toFixed(3), end: data.end.toFixed(3) });
  if (segment.speaker !== (data.speaker ?? null)) relabel([{ id: segment.id, speaker: data.speaker }]);
  changed([segment.element.closest(".paragraph")]);
}

/** A text without more than single spaces, as the server stores it. */
export function normalize(content) {
  return content.replace(/\s+/g, " ").trim();
}

/** Gives segments other speakers: a list of { id, speaker }. */
export function relabel(changes) {
  const known = changes.filter(({ id }) => segments[id - 1]).sort((a, b) => a.id - b.id);
  if (!known.length) return;
  const restoreCaret = keepCaret([]);
  for (const { id, speaker } of known) setSpeaker(segments[id - 1], speaker);
  const paragraphs = regroup(known[0].id - 1, known.at(-1).id, []);
  restoreCaret([]);
  changed(paragraphs);
}

// --- Segments ---------------------------------------------------------------------------------

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

function create(data) {
  const element = Object.assign(document.createElement("span"), { className: "segment" });
  bySpan.set(element, { element });
  return update(bySpan.get(element), data);
}

function update(segment, { id, start, end, speaker, channel, paragraph, text, words }) {
  Object.assign(segment, { id, start, end, channel: channel ?? null, paragraph: paragraph ?? null, text });
  segment.words = words ? timesOf(text, words) : null;
  const { element } = segment;
  Object.assign(element.dataset, { segment: id, start: start.toFixed(3), end: end.toFixed(3) });
  if (segment.channel !== null) element.dataset.channel = channel;
  if (element.textContent !== text || element.childNodes.length !== 1) element.textContent = text;
  setSpeaker(segment, speaker);
  return segment;
}

function setSpeaker(segment, speaker) {
  segment.speaker = speaker ?? null;
  if (speaker) segment.element.dataset.speaker = speaker;
  else delete segment.element.dataset.speaker;
}

function renumber(from) {
  for (let index = from; index < segments.length; index += 1) {
    segments[index].id = index + 1;
    segments[index].element.dataset.segment = index + 1;
  }
}

// --- Paragraphs -------------------------------------------------------------------------------

/**
 * Divides again what has changed: the paragraphs of the segments with the indexes `first` to `last`
 * (exclusive), with the one before, up to where a paragraph begins that was there before. `removed`
 * are segments that are no longer in the list. Returns the paragraphs that are new, and the one after
 * them, where the name of a turn may have to change.
 */
function regroup(first, last, removed) {
  const begin = startOfParagraph(first - 1);
  const lists = [];
  let end = begin;
  for (const list of divided(segments, begin)) {
    if (end >= last && isFirst(list[0])) break;
    lists.push(list);
    end += list.length;
  }
  const affected = [...segments.slice(begin, end), ...removed].map(({ element }) => element.closest(".paragraph"));
  const before = new Set(affected.filter(Boolean));
  const next = segments[end]?.element.closest(".paragraph") ?? null;
  const kept = new Set(), added = [];
  for (const list of lists) {
    const paragraph = unchanged(list) ?? build(list);
    if (before.has(paragraph)) kept.add(paragraph);
    else added.push(paragraph);
    root.insertBefore(paragraph, next);
  }
  for (const paragraph of before) if (!kept.has(paragraph)) paragraph.remove();
  return next ? [...added, next] : added;
}

/** The index of the first segment of the paragraph that has the one with this index. */
function startOfParagraph(index) {
  if (index < 0) return 0;
  const span = segments[index].element.closest(".paragraph").querySelector(".segment");
  return segments.indexOf(bySpan.get(span));
}

function isFirst({ element }) {
  return element.closest(".paragraph")?.querySelector(".segment") === element;
}

/** The paragraph that has just these segments, if there is one. */
function unchanged(list) {
  const paragraph = list[0].element.closest(".paragraph");
  if (!paragraph || Number(paragraph.dataset.speaker || 0) !== (list[0].speaker ?? 0)) return null;
  const present = segmentsIn(paragraph);
  return present.length === list.length && present.every((each, index) => each === list[index]) ? paragraph : null;
}

function build(list) {
  const paragraph = template.content.firstElementChild.cloneNode(true);
  paragraph.querySelector(".turn-speaker").remove(); // <transcript-speakers> adds it where a turn begins
  if (list[0].speaker) paragraph.dataset.speaker = list[0].speaker;
  const content = list.flatMap((each, index) => [index ? spaceAfter(list[index - 1], each) : "", each.element]);
  paragraph.querySelector(".paragraph-text").append(...content);
  paragraph.append(...list.map(({ conflict }) => conflict).filter((each) => each?.isConnected));
  showStart(list[0]);
  return paragraph;
}

/** Shows when a paragraph begins, which is with this segment. */
function showStart({ element, start }) {
  const paragraph = element.closest(".paragraph");
  paragraph.dataset.start = start.toFixed(3);
  paragraph.querySelector(".timestamp").textContent = formatDuration(start);
}

function spaceAfter(before, after) {
  return separator(before.text, after.text);
}

function changed(paragraphs) {
  page.dispatchEvent(new CustomEvent("text-changed", { detail: { paragraphs } }));
}
