/** What can be seen of the page, and scrolling to a passage. */
import { rangeOf } from "./transcript-text.js";

const PLACE = 0.4; // position of the passage in the viewport afterwards

/** The part of the viewport that is not covered by a bar. */
export function freeView() {
  const { scrollPaddingTop, scrollPaddingBottom } = getComputedStyle(document.documentElement);
  return {
    top: parseFloat(scrollPaddingTop) || 0,
    bottom: window.innerHeight - (parseFloat(scrollPaddingBottom) || 0),
  };
}

/**
 * Scrolls to a segment, or to a part of it from one offset to another, and highlights it briefly.
 */
export function showSegment(segment, from, to) {
  const { element } = segment;
  // With `content-visibility` the heights above are estimates until they are drawn.
  element.closest(".paragraph").scrollIntoView({ block: "center", behavior: "instant" });
  requestAnimationFrame(() => {
    const target = from === undefined ? element : rangeOf(segment, from, to);
    const { top, height } = target.getBoundingClientRect();
    window.scrollBy({ top: top + height / 2 - PLACE * window.innerHeight, behavior: "instant" });
    element.classList.add("flash");
    element.addEventListener("animationend", () => element.classList.remove("flash"), { once: true });
  });
}
