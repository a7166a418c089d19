/**
 * What a link to a passage asks for: `?q=` has the words of a search, which are marked, and the page
 * opens at the first of them; `?t=` is a moment in seconds.
 */
import { showSegment } from "./show-segment.js";
import { mark } from "./text-marks.js";
import { segmentAt, segments } from "./transcript-text.js";

const MIN_STEM = 4, MAX_ENDING = 3; // letters: "walks" is found by "walking", "the" only by "the"
const WORD = /[\p{L}\p{N}]+(?:['’][\p{L}\p{N}]+)*/gu;
const parameters = new URLSearchParams(location.search);
const terms = wordsOf((parameters.get("q") ?? "").replace(/-(?:"[^"]*"|\S+)/g, " ")).map(({ word }) => word);

if (terms.length) mark("found", (segment) => found(segment.text));
const time = Number(parameters.get("t") ?? NaN);
if (time >= 0) leadTo(segmentAt(time) ?? segments.find(({ end }) => end > time));
else if (terms.length) leadTo(best());

function leadTo(segment) {
  if (segment) showSegment(segment, ...(found(segment.text)[0] ?? []));
}

/** The first segment with most of the words. */
function best() {
  let result = null, most = 0;
  for (const segment of segments) {
    const words = wordsOf(segment.text);
    const count = terms.filter((term) => words.some(({ word }) => isForm(word, term))).length;
    if (count > most) [result, most] = [segment, count];
  }
  return result;
}

/** The [from, to] of the words that were searched for. */
function found(text) {
  return wordsOf(text).filter(({ word }) => terms.some((term) => isForm(word, term)))
    .map(({ from, to }) => [from, to]);
}

function wordsOf(text) {
  return [...text.matchAll(WORD)].map(({ 0: word, index }) => ({
    word: word.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase(), from: index, to: index + word.length,
  }));
}

/** Whether two words are the same, or probably forms of the same word. */
function isForm(word, term) {
  if (word === term) return true;
  const limit = Math.min(word.length, term.length);
  let common = 0;
  while (common < limit && word[common] === term[common]) common += 1;
  return common >= MIN_STEM && Math.max(word.length, term.length) - common <= MAX_ENDING;
}
