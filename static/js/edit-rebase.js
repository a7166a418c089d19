/** Finds the segments of an edit again, after someone else has changed the transcript. */
import { normalize } from "./text.js";

/**
 * Where the segments of a change are now in `stored`, the texts of all segments on the server:
 * { from, to, isSame, isMade }, with `isSame` if their texts are those that the change expects, and
 * `isMade` if they are those that it wants.
 *
 * `change` is one of EditSession. Of several places with the same texts it is the one with the same
 * neighbors, or else the nearest.
 */
export function locate(change, stored) {
  const place = placeOf(change, stored);
  const found = stored.slice(place.from - 1, place.to).map(normalize);
  const wanted = change.segments.map(({ text }) => normalize(text));
  const isMade = !place.isSame && found.length === wanted.length && found.every((text, index) => text === wanted[index]);
  // Nothing is replaced by an insertion, whatever someone else has inserted there.
  if (change.to < change.from && !isMade) return { from: place.from, to: place.from - 1, isSame: true, isMade };
  return { ...place, isMade };
}

function placeOf({ from, to, expected_texts: expected, ...near }, stored) {
  const texts = stored.map(normalize), count = to - from + 1;
  const sought = expected.map(normalize);
  const before = near.before === null ? null : normalize(near.before);
  const after = near.after === null ? null : normalize(near.after);
  const fits = (index, text) => (text === null ? index === -1 || index === texts.length : texts[index] === text);
  const places = [];
  for (let start = 0; start + count <= texts.length; start += 1) {
    if (!sought.every((text, index) => texts[start + index] === text)) continue;
    const neighbors = Number(fits(start - 1, before)) + Number(fits(start + count, after));
    if (count || neighbors === 2) places.push({ start, neighbors });
  }
  if (places.length) {
    const distance = ({ start }) => Math.abs(start - (from - 1));
    const [{ start }] = places.sort((a, b) => b.neighbors - a.neighbors || distance(a) - distance(b));
    return { from: start + 1, to: start + count, isSame: true };
  }
  const left = before === null ? -1 : nearest(texts, before, from - 2);
  const right = after === null ? texts.length : nearest(texts, after, to);
  if (left !== null && right !== null && left < right) return { from: left + 2, to: right, isSame: false };
  let first = from;
  if (left !== null) first = left + 2;
  else if (right !== null) first = right - count + 1;
  first = Math.min(Math.max(1, first), texts.length + 1);
  return { from: first, to: Math.min(first + count - 1, texts.length), isSame: false };
}

/** The index of a text nearest to another index, or null. */
function nearest(texts, text, index) {
  const found = texts.flatMap((each, at) => (each === text ? [at] : []));
  const distance = (at) => Math.abs(at - index);
  return found.length ? found.reduce((best, at) => (distance(at) < distance(best) ? at : best)) : null;
}
