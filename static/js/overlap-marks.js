/** Marks paragraphs in which several people speak at the same time. */
import { segments, segmentsIn } from "./transcript-text.js";

const page = document.querySelector("live-transcript");
const template = document.querySelector("#overlap-template");

page.addEventListener("times-loaded", () => show(document.querySelectorAll("#segments .paragraph")));
page.addEventListener("text-changed", ({ detail }) => show(detail.paragraphs));
page.addEventListener("speakers-changed", ({ detail }) => {
  const changed = detail.segments.filter(({ id }) => segments[id - 1]);
  for (const { id, overlap } of changed) segments[id - 1].hasOverlap = Boolean(overlap?.length);
  show(new Set(changed.map(({ id }) => segments[id - 1].element.closest(".paragraph"))));
});

function show(paragraphs) {
  for (const paragraph of paragraphs) {
    const hasOverlap = segmentsIn(paragraph).some((each) => each.hasOverlap ?? each.words?.overlap.length);
    const mark = paragraph.querySelector(".overlap-mark");
    if (!hasOverlap) mark?.remove();
    else if (!mark) paragraph.querySelector(".paragraph-head").append(template.content.cloneNode(true));
  }
}
