/**
 * Marks in the text (`::highlight(name)` in transcript-text.css), drawn only for paragraphs near the
 * viewport: their number does not slow down a long transcript. Browsers that cannot draw them mark
 * the segments, by the class `has-name`.
 */
import { rangeOf, segmentOf, segmentsIn } from "./transcript-text.js";

const MARGIN = "50%"; // of the viewport, above and below it
const canDraw = "highlights" in CSS;
const marks = new Map(); // by name: a function that returns the [from, to] of a segment
const visible = new Set();
let frame = null;

const page = document.querySelector("live-transcript");
const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) visible.add(target);
    else visible.delete(target);
  }
  redraw();
}, { rootMargin: `${MARGIN} 0px` });
for (const paragraph of page.querySelectorAll(".paragraph")) observer.observe(paragraph);
page.addEventListener("text-changed", ({ detail }) => {
  for (const paragraph of detail.paragraphs) observer.observe(paragraph);
  redraw();
});

/** Draws a mark of that name at all offsets that `offsetsOf(segment)` returns; null: no more. */
export function mark(name, offsetsOf) {
  if (offsetsOf) marks.set(name, offsetsOf);
  else {
    marks.delete(name);
    draw(name, []);
  }
  redraw();
}

/** Draws all marks again with the next frame: what they are about has changed. */
export function redraw() {
  frame ??= requestAnimationFrame(() => {
    frame = null;
    for (const paragraph of visible) if (!paragraph.isConnected) visible.delete(paragraph);
    const segments = [...visible].flatMap(segmentsIn);
    for (const [name, offsetsOf] of marks) {
      draw(name, segments.flatMap((segment) => offsetsOf(segment).map((each) => rangeOf(segment, ...each))));
    }
  });
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
