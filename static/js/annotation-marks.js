/**
 * Where the annotations are in the text: highlights in their colors, comments underlined, and a
 * button for the comments and one for the bookmarks of each paragraph in the margin.
 */
import { annotations, COLORS, offsetsBetween } from "./annotations.js";
import { segmentNear } from "./selected-text.js";
import { text } from "./text.js";
import { draw, mark } from "./text-marks.js";

const NAMES = [...COLORS, "comment", "draft"].map((name) => `annotation-${name}`);
const MARGIN_KINDS = ["comment", "bookmark"];

const page = document.querySelector("live-transcript");
const notes = document.querySelector("transcript-notes");
let frame = null;
let marked = new Set(); // paragraphs with a button

for (const name of NAMES) draw(name, []); // first, so that other marks are drawn over them
for (const name of ["annotations-changed", "times-loaded"]) page.addEventListener(name, showText);
for (const name of ["annotations-changed", "text-changed"]) page.addEventListener(name, showMarginLater);
page.querySelector("#segments").addEventListener("click", ({ target }) => {
  const button = target.closest(".note-mark");
  if (button) notes.openAt(Number(button.dataset.note));
});

/** Marks the passage of the open note form; null: none. */
export function markDraft(passage) {
  mark("annotation-draft", passage && ((segment) => offsets(segment, [passage])));
}

function showText() {
  const byName = Map.groupBy(annotations, ({ kind, color }) => `annotation-${color ?? kind}`);
  for (const name of NAMES.slice(0, -1)) {
    const list = byName.get(name);
    mark(name, list ? (segment) => offsets(segment, list) : null);
  }
}

function offsets(segment, list) {
  return list.map(({ start, end }) => offsetsBetween(segment, start, end)).filter(Boolean);
}

// --- The margin -------------------------------------------------------------------------------

function showMarginLater() {
  frame ??= requestAnimationFrame(() => {
    frame = null;
    showMargin();
  });
}

function showMargin() {
  const shown = annotations.filter(({ kind }) => MARGIN_KINDS.includes(kind));
  const byParagraph = Map.groupBy(shown, ({ start }) => segmentNear(start)?.element.closest(".paragraph"));
  for (const paragraph of marked) if (!byParagraph.has(paragraph)) paragraph.querySelector(".note-marks")?.remove();
  for (const [paragraph, list] of byParagraph) if (paragraph) showIn(paragraph, list);
  marked = new Set(byParagraph.keys());
  marked.delete(undefined);
}

function showIn(paragraph, list) {
  const key = list.map(({ id, kind }) => `${id}${kind}`).join(" ");
  const present = paragraph.querySelector(".note-marks");
  if (present?.dataset.key === key) return;
  present?.remove();
  const marks = Object.assign(document.createElement("span"), { className: "note-marks" });
  marks.dataset.key = key;
  for (const kind of MARGIN_KINDS) {
    const some = list.filter((each) => each.kind === kind);
    if (some.length) marks.append(button(kind, some));
  }
  paragraph.querySelector(".paragraph-head").append(marks);
}

function button(kind, list) {
  const element = notes.querySelector(`template[data-mark=${kind}]`).content.firstElementChild.cloneNode(true);
  const label = text(notes, list.length > 1 ? `${kind}s` : kind, { count: list.length });
  element.dataset.note = list[0].id;
  element.title = label;
  element.setAttribute("aria-label", label);
  return element;
}
