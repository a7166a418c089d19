/**
 * What an input does to segments. Each function returns { from, to, segments, caret }: new segments
 * in place of those with the numbers `from` to `to`, and the caret after that: the index of a new
 * segment (which may be the one after them), the offset in it, and the length of a selection, if
 * there is one. Null: nothing changes.
 */
import { normalize } from "./text.js";

export const NEW_TEXT = "…"; // of an inserted segment, until something is typed
const MAX_TEXT = 5000; // characters of a segment, as in transcriptions/schemas/edits.py

/** Divides a text that is too long for one segment: a list of segments like the given one. */
export function inPieces(segment) {
  const pieces = [];
  let rest = segment.text;
  while (rest.length > MAX_TEXT) {
    const space = rest.lastIndexOf(" ", MAX_TEXT);
    const end = space > 0 ? space : MAX_TEXT;
    pieces.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  pieces.push(rest);
  return pieces.map((text, index) => (index ? { text, speaker: segment.speaker } : { ...segment, text }));
}

/** Replaces the text between two places in different segments with `data`. */
export function replaceRange(start, end, data, segments) {
  const before = textOf(start.segment).slice(0, start.offset) + data;
  const after = textOf(end.segment).slice(end.offset);
  const from = start.segment.id, to = end.segment.id;
  const isOne = start.segment.speaker === end.segment.speaker && start.segment.channel === end.segment.channel;
  const parts = isOne ? [[before + after, start.segment]] : [[before, start.segment], [after, end.segment]];
  const filled = parts.filter(([text]) => normalize(text));
  if (!filled.length) return remove(from, to, segments);
  const isFirstLeft = normalize(parts[0][0]) !== "";
  return {
    from, to, segments: filled.map(([text, segment]) => part(text, segment)),
    caret: isFirstLeft ? [0, normalize(before).length + trailing(before)] : [0, 0],
  };
}

/** Deletes segments. */
export function remove(from, to, segments) {
  const before = segments[from - 2];
  return { from, to, segments: [], caret: before ? [-1, textOf(before).length] : [0, 0] };
}

/** Joins a segment with the one before: its paragraph if it begins one, else its text. */
export function join(segment, segments, isFirst) {
  const before = segments[segment.id - 2];
  if (!before || before.channel !== segment.channel) return null;
  const text = textOf(segment);
  if (isFirst) {
    const speaker = before.speaker ?? segment.speaker;
    const joined = { ...part(text, segment), speaker, paragraph: false };
    return { from: segment.id, to: segment.id, segments: [joined], caret: [0, 0] };
  }
  const [left, right] = [normalize(textOf(before)), normalize(text)];
  return {
    from: before.id, to: segment.id, segments: [part(left + right, before)], caret: [0, left.length],
  };
}

/** Begins a paragraph at a place: between two paragraphs, a new one. `isFirst` tells whether a
 * segment begins one. */
export function divide({ segment, offset }, segments, isFirst) {
  const text = textOf(segment);
  const [left, right] = [normalize(text.slice(0, offset)), normalize(text.slice(offset))];
  if (left && right) {
    const parts = [part(left, segment), { ...part(right, segment), paragraph: true }];
    return { from: segment.id, to: segment.id, segments: parts, caret: [1, 0] };
  }
  if (!left) return isFirst(segment) ? insert(segment.id, segment) : begin(segment);
  const next = segments[segment.id];
  return next && !isFirst(next) ? begin(next) : insert(segment.id + 1, segment);
}

/** Inserts a segment before the one with this number. Its text is selected, for typing over it. */
export function insert(number, { speaker = null } = {}) {
  const segment = { text: NEW_TEXT, speaker, paragraph: true };
  return { from: number, to: number - 1, segments: [segment], caret: [0, 0, NEW_TEXT.length] };
}

/** Lets a paragraph begin with a segment. */
function begin(segment) {
  const begun = { ...part(textOf(segment), segment), paragraph: true };
  return { from: segment.id, to: segment.id, segments: [begun], caret: [0, 0] };
}

/** The shown text of a segment, which may not be stored yet. */
export function textOf({ element }) {
  return element.textContent;
}

function part(text, { speaker, paragraph }) {
  return { text: normalize(text), speaker, paragraph };
}

/** Whether a text ends with a space that is kept: the next letter comes after it. */
function trailing(text) {
  return /\s$/.test(text) && normalize(text) ? 1 : 0;
}
