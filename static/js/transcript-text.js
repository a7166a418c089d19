/**
 * The text of the transcript: its segments, and the paragraphs in which they are. Other modules
 * read and change the text only with these functions. After a change <live-transcript> gets the
 * event `text-changed` with the `paragraphs` (elements) that are new or have changed.
 */
import { formatDuration } from "./duration.js";
import { divided, goesOn, separator } from "./paragraphs.js";
import { normalize } from "./text.js";
import { keepCaret } from "./text-positions.js";
import { create, renumber, segmentOf, segments, segmentsIn, setSpeaker, update } from "./transcript-segments.js";
import { timesOf } from "./word-times.js";

export { positionOf, rangeOf, segmentAt, segmentWithCaret, wordAt, wordAtTime, wordOf } from "./text-positions.js";
export { segmentOf, segments, segmentsIn } from "./transcript-segments.js";

const LOOKS = ["speaker", "channel", "paragraph"]; // properties that divide paragraphs

const root = document.querySelector("#segments");
const page = document.querySelector("live-transcript") ?? root; // the recorder has none
const template = document.querySelector("#paragraph-template");
const GROUP_SIZE = 25; // paragraphs that browsers render or skip together: see transcript-text.css
let gathered = null; // paragraphs that changed within `together`

/** The paragraph before another one, and the one after it; undefined or null if there is none. */
export function paragraphBefore(paragraph) {
  return paragraph.previousElementSibling ?? paragraph.parentElement.previousElementSibling?.lastElementChild;
}

export function paragraphAfter(paragraph) {
  return paragraph.nextElementSibling ?? paragraph.parentElement.nextElementSibling?.firstElementChild;
}

/** Makes any number of changes, and sends one event for all of them: its receivers look at the whole page. */
export function together(change) {
  if (gathered) return change();
  gathered = new Set();
  try {
    return change();
  } finally {
    const paragraphs = [...gathered].filter(({ isConnected }) => isConnected);
    gathered = null;
    changed(paragraphs);
  }
}

/** Adds a segment of the server at the end. */
export function append(data) {
  const segment = create(data);
  let last = root.lastElementChild?.lastElementChild;
  const paragraph = last && segmentsIn(last);
  segments.push(segment);
  if (paragraph && goesOn(paragraph, segment)) {
    last.querySelector(".paragraph-text").append(spaceAfter(paragraph.at(-1), segment), segment.element);
  } else {
    last = build([segment]);
    if (!(root.lastElementChild?.childElementCount < GROUP_SIZE)) root.append(newGroup());
    root.lastElementChild.append(last);
  }
  changed([last]);
  return segment;
}

/**
 * Replaces the segments with the numbers `from` to `to` with segments of the server, and renumbers
 * those after them. `from: 6, to: 5` inserts before segment 6. The caret keeps its place in the
 * text. Returns the segments.
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

/** Updates a shown segment with the server's data. Text that was typed since is kept. */
export function refresh(segment, data) {
  const shown = segment.element.textContent;
  const words = normalize(shown) === data.text ? timesOf(shown, data.words) : null;
  Object.assign(segment, { start: data.start, end: data.end, words });
  Object.assign(segment.element.dataset, { start: data.start.toFixed(3), end: data.end.toFixed(3) });
  if (segment.speaker !== (data.speaker ?? null)) relabel([{ id: segment.id, speaker: data.speaker }]);
  changed([segment.element.closest(".paragraph")]);
}

/** Changes the speakers of segments: a list of { id, speaker }. */
export function relabel(changes) {
  const known = changes.filter(({ id }) => segments[id - 1]).sort((a, b) => a.id - b.id);
  if (!known.length) return;
  const restoreCaret = keepCaret([]);
  for (const { id, speaker } of known) setSpeaker(segments[id - 1], speaker);
  const paragraphs = regroup(known[0].id - 1, known.at(-1).id, []);
  restoreCaret([]);
  changed(paragraphs);
}

// --- Paragraphs -------------------------------------------------------------------------------

/**
 * Divides changed text again: the paragraphs of the segments with the indexes `first` to `last`
 * (exclusive), with the one before, up to the next unchanged start of a paragraph. `removed` are
 * segments that are no longer in the list. Returns the new paragraphs, and the one after them,
 * where the name of a turn may have to change.
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
  let previous = segments[begin - 1]?.element.closest(".paragraph");
  for (const list of lists) {
    const paragraph = unchanged(list) ?? build(list);
    if (before.has(paragraph)) kept.add(paragraph);
    else {
      added.push(paragraph);
      if (previous) previous.after(paragraph);
      else (root.firstElementChild ?? root.appendChild(newGroup())).prepend(paragraph);
    }
    previous = paragraph;
  }
  for (const paragraph of before) if (!kept.has(paragraph)) paragraph.remove();
  for (const group of root.querySelectorAll(":scope > :empty")) group.remove();
  return next ? [...added, next] : added;
}

function newGroup() {
  return Object.assign(document.createElement("div"), { className: "paragraphs" });
}

/** The index of the first segment in the paragraph of the segment with this index. */
function startOfParagraph(index) {
  if (index < 0) return 0;
  const span = segments[index].element.closest(".paragraph").querySelector(".segment");
  return segmentOf(span).id - 1;
}

function isFirst({ element }) {
  return element.closest(".paragraph")?.querySelector(".segment") === element;
}

/** The paragraph with exactly these segments, if there is one. */
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

/** Shows the start time of the paragraph that begins with this segment. */
function showStart({ element, start }) {
  const paragraph = element.closest(".paragraph");
  paragraph.dataset.start = start.toFixed(3);
  const timestamp = paragraph.querySelector(".timestamp"), shown = formatDuration(start);
  if (timestamp.textContent !== shown) timestamp.textContent = shown;
}

function spaceAfter(before, after) {
  return separator(before.text, after.text);
}

function changed(paragraphs) {
  if (gathered) {
    for (const paragraph of paragraphs) gathered.add(paragraph);
    return;
  }
  page.dispatchEvent(new CustomEvent("text-changed", { detail: { paragraphs } }));
}
