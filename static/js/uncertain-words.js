/** Words with a low probability: underlined, and one key leads to the next. */
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
register("next-uncertain", text(page, "nextUncertain"), ["Alt+U"], selectNext);

function show(isOn) {
  mark(NAME, isOn ? offsets : null);
}

function offsets(segment) {
  return (segment.words?.low ?? []).map((index) => wordOf(segment, index)).filter(Boolean)
    .map(({ from, to }) => [from, to]);
}

/** Selects the next uncertain word after the caret, or after the top of the viewport; then the first. */
function selectNext() {
  const { focusNode, focusOffset } = getSelection();
  const place = focusNode && positionOf(focusNode, focusOffset);
  const after = place ? words(place.segment.id - 1).find((word) => isAfter(word, place)) : null;
  const word = after ?? words(0).next().value;
  if (!word) return;
  const range = rangeOf(word.segment, word.from, word.to);
  getSelection().setBaseAndExtent(range.startContainer, range.startOffset, range.endContainer, range.endOffset);
  showSegment(word.segment, word.from, word.to);
}

/** All uncertain words from a segment on. */
function* words(index) {
  for (const segment of segments.slice(index)) {
    for (const low of segment.words?.low ?? []) yield wordOf(segment, low);
  }
}

function isAfter({ segment, from }, place) {
  return segment.id > place.segment.id || from >= place.offset;
}
