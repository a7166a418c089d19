/**
 * Marks in the text (`::highlight(name)` in transcript-text.css), drawn only for paragraphs near the
 * viewport, and after scrolling only when it rests: browsers paint all marked text again with every
 * change, of each typed character, too. Browsers that cannot draw them mark the segments with the
 * class `has-name`.
 */
import { rangeOf, segmentOf, segments, segmentsIn } from "./transcript-text.js";

const canDraw = "highlights" in CSS;
const marks = new Map(); // by name: a function that returns the [from, to] of a segment
const visible = new Set(); // groups of paragraphs that the browser draws: those near the viewport
const known = new WeakSet(); // groups about which the browser has reported
const REST_MS = 100; // without scrolling
let frame = null, rest = null;

const page = document.querySelector("live-transcript");
const observer = new IntersectionObserver((entries, self) => {
  for (const { target, isIntersecting } of entries) setVisible(target, isIntersecting);
  if (CSS.supports("content-visibility", "auto")) self.disconnect(); // from now on, its event is used
}, { rootMargin: "50% 0px" });
for (const group of page.querySelectorAll(".paragraphs")) observer.observe(group);
page.addEventListener("contentvisibilityautostatechange", ({ target, skipped }) => setVisible(target, !skipped));
addEventListener("beforeprint", () => drawMarks(segments));
addEventListener("afterprint", redraw);
for (const type of ["scroll", "resize"]) addEventListener(type, redrawAtRest, { passive: true });
page.addEventListener("text-changed", ({ detail }) => { // new groups are visible until the browser reports otherwise
  for (const { parentElement: group } of detail.paragraphs) if (!known.has(group)) visible.add(group);
  redraw();
});

function setVisible(group, isVisible) {
  known.add(group);
  if (isVisible) visible.add(group);
  else visible.delete(group);
  redrawAtRest();
}

function redrawAtRest() {
  clearTimeout(rest);
  rest = setTimeout(redraw, REST_MS);
}

/** Draws a mark of that name at all offsets that `offsetsOf(segment)` returns; null: removes it. */
export function mark(name, offsetsOf) {
  if (offsetsOf) marks.set(name, offsetsOf);
  else {
    marks.delete(name);
    draw(name, []);
  }
  redraw();
}

/** Redraws all marks in the next frame, after a change of what they mark. */
function redraw() {
  frame ??= requestAnimationFrame(() => {
    frame = null;
    for (const group of visible) if (!group.isConnected) visible.delete(group);
    drawMarks([...visible].flatMap(({ children }) => [...children].filter(isNear)).flatMap(segmentsIn));
  });
}

function drawMarks(shown) {
  for (const [name, offsetsOf] of marks) {
    draw(name, shown.flatMap((segment) => offsetsOf(segment).map((each) => rangeOf(segment, ...each))));
  }
}

/** Whether a paragraph can be seen, or could after scrolling by a screen. */
function isNear(paragraph) {
  const { top, bottom } = paragraph.getBoundingClientRect();
  return bottom > -innerHeight && top < 2 * innerHeight;
}

/** Draws one mark at these ranges, and nowhere else. */
export function draw(name, ranges) {
  if (canDraw) {
    CSS.highlights.set(name, new Highlight(...ranges));
    return;
  }
  for (const element of page.querySelectorAll(`.has-${name}`)) element.classList.remove(`has-${name}`);
  for (const range of ranges) segmentOf(range.startContainer.parentElement)?.element.classList.add(`has-${name}`);
}
