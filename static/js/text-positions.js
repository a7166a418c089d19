/** Places in the text of the transcript: words, DOM ranges, and the caret. */
import { segmentOf, segments } from "./transcript-segments.js";

const EARLY_S = 0.05; // a segment counts as reached this much before its start

/** The segment at a moment, by binary search; null between segments. */
export function segmentAt(seconds) {
  let low = 0, high = segments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (segments[middle].end <= seconds) low = middle + 1;
    else high = middle;
  }
  const segment = segments[low];
  return segment && seconds >= segment.start - EARLY_S ? segment : null;
}

/** The word at an offset of a segment, or before it: see `wordOf`. Null while times are unknown. */
export function wordAt(segment, offset) {
  return wordOf(segment, lastIndex(segment.words?.at, offset));
}

/** The word at a moment, or else the last one before it in the segment; null if there is none. */
export function wordAtTime(seconds) {
  const segment = segmentAt(seconds);
  return segment && wordOf(segment, lastIndex(segment.words?.start, 1000 * seconds));
}

/** A word by its index: { segment, index, from, to, start, end }, offsets and seconds; or null. */
export function wordOf(segment, index) {
  const { words, text } = segment;
  if (!words || !(index in words.at)) return null;
  const from = words.at[index];
  const until = words.at[index + 1] ?? text.length;
  const to = from + text.slice(from, until).trimEnd().length;
  const start = words.start[index] / 1000;
  return { segment, index, from, to, start, end: start + words.length[index] / 1000 };
}

/** The index of the last number that is not greater, at least 0; -1 without numbers. */
function lastIndex(numbers, limit) {
  let low = 0, high = numbers?.length ?? 0;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return numbers?.length ? Math.max(0, low - 1) : -1;
}

/** The DOM range of a part of a segment, by UTF-16 offsets. */
export function rangeOf({ element }, from, to) {
  const range = document.createRange();
  range.setStart(...boundary(element, from));
  range.setEnd(...boundary(element, to));
  return range;
}

/** The text node and the offset in it of an offset in an element: more than one node while typing. */
function boundary(element, offset) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let node = walker.nextNode(), rest = offset;
  while (node && rest > node.data.length && node !== element.lastChild) {
    rest -= node.data.length;
    node = walker.nextNode();
  }
  return node ? [node, Math.min(rest, node.data.length)] : [element, 0];
}

/** The { segment, offset } of a place in the DOM; null if it is not in the text. */
export function positionOf(node, offset) {
  const segment = segmentOf(node.nodeType === Node.TEXT_NODE ? node.parentElement : node);
  if (segment) return { segment, offset: offsetOf(segment.element, node, offset) };
  const line = (node.nodeType === Node.TEXT_NODE ? node.parentElement : node)?.closest(".paragraph-text");
  if (!line) return null;
  const before = document.createRange(); // between segments: at the end of the one before
  before.setStart(line, 0);
  before.setEnd(node, offset);
  const spans = [...line.querySelectorAll(".segment")];
  const last = spans.findLast((span) => before.comparePoint(span, 0) === 0 && span !== node);
  const found = segmentOf(last ?? spans[0]);
  return found && { segment: found, offset: last ? last.textContent.length : 0 };
}

/** The UTF-16 offset in an element of a place in the DOM within it. */
function offsetOf(element, node, offset) {
  if (node === element.firstChild && node.nodeType === Node.TEXT_NODE) return offset;
  const before = document.createRange();
  before.setStart(element, 0);
  before.setEnd(node, offset);
  return before.toString().length;
}

/**
 * Call this before the text changes, and the returned function afterwards with the segments that
 * replace `old`: it restores the selection in the text.
 */
export function keepCaret(old) {
  const { anchorNode, anchorOffset, focusNode, focusOffset } = getSelection();
  const ends = [[anchorNode, anchorOffset], [focusNode, focusOffset]]
    .map(([node, offset]) => node && positionOf(node, offset));
  if (!ends[0] || !ends[1]) return () => {};
  const distances = ends.map((end) => distance(old, end));
  return (fresh) => {
    const places = ends.map((end, index) => (distances[index] === null ? end : place(fresh, distances[index])));
    if (places.some((each) => !each?.segment.element.isConnected)) return;
    const [anchor, focus] = places.map(({ segment, offset }) => boundary(segment.element, offset));
    getSelection().setBaseAndExtent(...anchor, ...focus);
  };
}

/** The number of characters between the start of the first segment and a place in one of them. */
function distance(list, { segment, offset }) {
  const index = list.indexOf(segment);
  if (index < 0) return null;
  return list.slice(0, index).reduce((sum, { element }) => sum + element.textContent.length + 1, offset);
}

function place(list, characters) {
  let rest = characters;
  for (const segment of list) {
    if (rest <= segment.text.length) return { segment, offset: rest };
    rest -= segment.text.length + 1;
  }
  const last = list.at(-1);
  return last ? { segment: last, offset: last.text.length } : null;
}

/** The segment with the caret or the selection's start; null if it is not in the text. */
export function segmentWithCaret() {
  const { focusNode, focusOffset } = getSelection();
  return focusNode ? positionOf(focusNode, focusOffset)?.segment ?? null : null;
}

/** Puts the caret into a segment, or selects `length` characters. */
export function placeCaret({ element }, offset, length = 0) {
  getSelection().setBaseAndExtent(...boundary(element, offset), ...boundary(element, offset + length));
}
