/** The text that is selected in a transcript, whole segments or some of their words, and the form
 * that gives it to a speaker. */
import { positionOf, segments } from "./transcript-text.js";

export class SpeakerSelection {
  /** `speakers` is the <transcript-speakers> that the form is in. */
  constructor(speakers) {
    this.speakers = speakers;
    this.form = speakers.querySelector("[data-selection]");
    this.parts = []; // { segment, from, to }: which characters of each segment
    document.addEventListener("selectionchange", () => this.changed());
    for (const type of ["pointerdown", "pointerup", "pointercancel"]) {
      document.addEventListener(type, () => {
        this.isPressed = type === "pointerdown"; // the form would be in the way of the pointer
        this.changed();
      });
    }
    this.form.addEventListener("focusout", (event) => {
      if (!this.form.contains(event.relatedTarget)) this.changed();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.assign(speakers.chosen(this.form.elements.speaker));
    });
  }

  get isEmpty() {
    return !this.parts.length;
  }

  changed() {
    const isChoosing = this.form.contains(document.activeElement);
    if (this.isPressed || isChoosing) return;
    this.parts = this.speakers.names.size ? selectedParts(this.speakers.root) : [];
    if (!this.isEmpty && this.form.hidden) this.speakers.showOptions(this.form.elements.speaker);
    this.form.hidden = this.isEmpty;
  }

  /** Resolves to the problem, which is shown; empty if the speaker was changed. */
  async assign(number) {
    const [{ segment }] = this.parts;
    const problem = await this.speakers.assignParts(this.parts.map(part).filter(Boolean), number);
    if (problem) {
      this.speakers.showStatus(problem, true);
      return problem;
    }
    document.getSelection().removeAllRanges();
    this.speakers.focusOn(segment);
    this.changed();
    return "";
  }
}

/** As the API takes it: the words that are at least partly selected; null if there are none. */
function part({ segment, from, to }) {
  const { id, text, words } = segment;
  if (!words || (!text.slice(0, from).trim() && !text.slice(to).trim())) return { segment: id };
  const selected = words.at.flatMap((start, index) => {
    const end = start + text.slice(start, words.at[index + 1] ?? text.length).trimEnd().length;
    return start < to && end > from ? [index + 1] : [];
  });
  return selected.length ? { segment: id, first_word: selected[0], last_word: selected.at(-1) } : null;
}

/** Of each segment with selected text, which characters. */
function selectedParts(root) {
  const selection = document.getSelection();
  if (selection.isCollapsed || !root.contains(selection.anchorNode)) return [];
  const range = selection.getRangeAt(0);
  const start = positionOf(range.startContainer, range.startOffset);
  const end = positionOf(range.endContainer, range.endOffset);
  if (!start || !end) return [];
  return segments.slice(start.segment.id - 1, end.segment.id)
    .map((segment) => ({
      segment,
      from: segment === start.segment ? start.offset : 0,
      to: segment === end.segment ? end.offset : segment.text.length,
    }))
    .filter(({ segment, from, to }) => segment.text.slice(from, to).trim() && !segment.element.closest("[hidden]"));
}
