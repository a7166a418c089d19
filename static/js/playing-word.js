/**
 * Marks the word that is being played; the page follows it unless the reader has scrolled away.
 * A click on a word or on a time plays from there.
 */
import { isPreferred } from "./preferences.js";
import { register } from "./shortcuts.js";
import { freeView } from "./show-segment.js";
import { text } from "./text.js";
import { draw } from "./text-marks.js";
import { positionOf, rangeOf, segmentAt, segments, wordAt, wordAtTime } from "./transcript-text.js";

const SEEK_S = 1; // a change of the time by more is a jump
const PLACE = 0.35; // of the viewport, where the word is after scrolling
const EARLY_S = 0.05; // before its start, a segment counts as reached
const SCROLL_MS = 600; // at most
const TYPING_MS = 5000; // after typing, the page does not move away from the caret
const page = document.querySelector("live-transcript");
const player = document.querySelector("transcript-player");
const button = page.querySelector("#follow");
let time = null; // seconds
let shown = null; // the word, or { segment } without word times
let isPaused = true;
let isAway = false; // the reader has scrolled away
let scrolling = null; // the timer of our own scrolling
let typedAt = -Infinity; // performance.now()

if (player) {
  player.addEventListener("player-time", ({ detail }) => heard(detail));
  player.addEventListener("player-state", () => stateChanged());
  register("previous-segment", text(page, "previousSegment"), ["Alt+P"], () => go(-1));
  register("next-segment", text(page, "nextSegment"), ["Alt+N"], () => go(1));
  if (player.currentTime) { // the position of the last visit
    time = player.currentTime;
    show(true);
  }
}
for (const name of ["text-changed", "times-loaded"]) {
  page.addEventListener(name, () => { if (time !== null) show(true); });
}
document.addEventListener("scrollend", stopScrolling);
button.addEventListener("click", () => {
  isAway = false;
  button.hidden = true;
  follow();
});
page.querySelector("#segments").addEventListener("click", (event) => clicked(event));
page.querySelector("#segments").addEventListener("beforeinput", () => { typedAt = performance.now(); });

function heard(seconds) {
  if (time === null || Math.abs(seconds - time) > SEEK_S) isAway = false;
  else if (shown && !scrolling) isAway = !isInView();
  time = seconds;
  const isNew = show(false);
  const isTyping = performance.now() - typedAt < TYPING_MS;
  if (isNew && !isAway && !isTyping) follow();
  button.hidden = !isAway || player.paused;
}

/** After "play" the page follows, even if the reader had scrolled away. */
function stateChanged() {
  if (!player.paused && isPaused) {
    isAway = false;
    follow();
  }
  isPaused = player.paused;
  button.hidden = !isAway || isPaused;
}

/** Jumps to the start of the next or the previous segment. */
function go(step) {
  const now = player.currentTime + EARLY_S;
  const current = segments.findLastIndex(({ start }) => start <= now);
  const next = segments[Math.max(0, current + step)];
  if (next) player.seek(next.start);
}

/** Marks the word at this moment. Returns whether it has changed. */
function show(isForced) {
  const segment = segmentAt(time);
  const word = segment && time > 0 ? wordAtTime(time) : null;
  const next = word ?? (time > 0 && segment ? { segment } : null);
  if (!isForced && next?.segment === shown?.segment && next?.index === shown?.index) return false;
  if (shown?.segment !== next?.segment) shown?.segment.element.removeAttribute("aria-current");
  next?.segment.element.setAttribute("aria-current", "true");
  shown = next;
  draw("playing-word", word ? [rangeOf(word.segment, word.from, word.to)] : []);
  return next !== null;
}

// --- Following --------------------------------------------------------------------------------

function follow() {
  if (!shown || isInView()) return;
  const view = freeView();
  const distance = bounds().top - view.top - PLACE * (view.bottom - view.top);
  const isNear = Math.abs(distance) < window.innerHeight;
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  stopScrolling();
  scrolling = setTimeout(stopScrolling, SCROLL_MS);
  window.scrollTo({ top: scrollY + distance, behavior: isNear && !isStill ? "smooth" : "instant" });
}

function stopScrolling() {
  clearTimeout(scrolling);
  scrolling = null;
}

/**
 * Whether the word is visible; true if its paragraph is hidden because only one speaker is shown.
 */
function isInView() {
  if (shown.segment.element.closest("[hidden]")) return true;
  const { top, bottom } = bounds();
  const view = freeView();
  return bottom > view.top && top < view.bottom;
}

function bounds() {
  const { segment, from, to } = shown;
  return (from === undefined ? segment.element : rangeOf(segment, from, to)).getBoundingClientRect();
}

// --- Clicks -----------------------------------------------------------------------------------

function clicked(event) {
  const hasModifier = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
  if (!player || player.hidden || hasModifier) return;
  const timestamp = event.target.closest(".timestamp");
  if (timestamp) {
    playFrom(Number(timestamp.closest(".paragraph").dataset.start));
    return;
  }
  if (!event.target.closest(".segment") || !isPreferred("play-on-click")) return;
  if (!getSelection().isCollapsed) return;
  const place = placeOf(event);
  if (place) playFrom(wordAt(place.segment, place.offset)?.start ?? place.segment.start);
}

/** The position in the text that was clicked. */
function placeOf({ clientX, clientY }) {
  if (document.caretPositionFromPoint) {
    const place = document.caretPositionFromPoint(clientX, clientY);
    return place && positionOf(place.offsetNode, place.offset);
  }
  const range = document.caretRangeFromPoint(clientX, clientY); // Safari
  return range && positionOf(range.startContainer, range.startOffset);
}

function playFrom(seconds) {
  time = null; // follow it
  player.seek(seconds);
  player.play();
}
