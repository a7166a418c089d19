/** Words with a low probability: underlined, and keys lead to the next and the previous one. */
import { isPreferred, onPreference } from "./preferences.js";
import { register } from "./shortcuts.js";
import { showSegment } from "./show-segment.js";
import { text } from "./text.js";
import { mark } from "./text-marks.js";
import { positionOf, rangeOf, segments, wordOf } from "./transcript-text.js";

const NAME = "low-confidence", PREFERENCE = "mark-uncertain";
const page = document.querySelector("live-transcript");

show(isPreferred(PREFERENCE));
onPreference(PREFERENCE, show);
page.addEventListener("times-loaded", () => show(isPreferred(PREFERENCE)));
register("next-uncertain", text(page, "nextUncertain"), ["Alt+U"], () => select(nextWord()));
register("previous-uncertain", text(page, "previousUncertain"), ["Alt+Shift+U"], () => select(previousWord()));

function show(isOn) {
  mark(NAME, isOn ? offsets : null);
}

function offsets(segment) {
  return (segment.words?.low ?? []).map((index) => wordOf(segment, index)).filter(Boolean)
    .map(({ from, to }) => [from, to]);
}

/** The next uncertain word after the caret, else the first of all. */
function nextWord() {
  const place = caret("end");
  const after = place && words(place.segment.id - 1).find((word) => isAfter(word, place));
  return after || words(0).next().value;
}

/** The last uncertain word before the caret, else the last of all. */
function previousWord() {
  const place = caret("start");
  const all = [...words(0)];
  const before = place && all.findLast((word) => !isAfter(word, place));
  return before || all.at(-1);
}

function select(word) {
  if (!word) return;
  const range = rangeOf(word.segment, word.from, word.to);
  getSelection().setBaseAndExtent(range.startContainer, range.startOffset, range.endContainer, range.endOffset);
  showSegment(word.segment, word.from, word.to);
}

/** Where the selection starts or ends ("start" or "end"); null if it is not in the text. */
function caret(side) {
  if (!getSelection().rangeCount) return null;
  const range = getSelection().getRangeAt(0);
  return positionOf(range[`${side}Container`], range[`${side}Offset`]);
}

/** All uncertain words from a segment on. */
function* words(index) {
  for (const segment of segments.slice(index)) {
    for (const low of segment.words?.low ?? []) yield wordOf(segment, low);
  }
}

/** Whether a word starts at a place or after it. */
function isAfter({ segment, from }, place) {
  return segment.id > place.segment.id || (segment === place.segment && from >= place.offset);
}
