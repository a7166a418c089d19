/** Commands that bring the caret and the playback together. */
import { knowWords } from "./load-times.js";
import { segmentNear } from "./selected-text.js";
import { register } from "./shortcuts.js";
import { freeView, showSegment } from "./show-segment.js";
import { text } from "./text.js";
import { placeCaret } from "./text-positions.js";
import { positionOf, rangeOf, wordAt, wordAtTime } from "./transcript-text.js";

const page = document.querySelector("live-transcript");
const root = page.querySelector("#segments");
const player = document.querySelector("transcript-player");

if (player) {
  register("play-from-caret", text(page, "playFromCaret"), ["Alt+Enter"], playFromCaret);
  register("caret-to-playing", text(page, "caretToPlaying"), ["Alt+W"], moveCaret);
}

/** Plays from the word at the caret, or from the first selected one. */
function playFromCaret() {
  const selection = getSelection();
  if (!selection.rangeCount) return false;
  const { startContainer, startOffset } = selection.getRangeAt(0);
  const place = positionOf(startContainer, startOffset);
  if (place) playFrom(place);
  return Boolean(place);
}

async function playFrom({ segment, offset }) {
  await knowWords([{ segment }]);
  player.seek((wordAt(segment, offset) ?? segment).start);
  player.play();
}

/** Moves the caret to the word that is being played, or was played last. */
async function moveCaret() {
  const segment = segmentNear(player.currentTime);
  if (!segment) return;
  await knowWords([{ segment }]);
  const word = wordAtTime(player.currentTime) ?? { segment, from: 0, to: segment.element.textContent.length };
  root.focus({ preventScroll: true });
  placeCaret(word.segment, word.from);
  const { top, bottom } = rangeOf(word.segment, word.from, word.to).getBoundingClientRect();
  const view = freeView();
  if (top < view.top || bottom > view.bottom) showSegment(word.segment, word.from, word.to);
}
