/** The text that is selected in a transcript, whole segments or some of their words, and the form
 * that gives it to a speaker. */

export class SpeakerSelection {
  /** `speakers` is the <transcript-speakers> that the form is in. */
  constructor(speakers) {
    this.speakers = speakers;
    this.form = speakers.querySelector("[data-selection]");
    this.parts = []; // {item, start, end}: characters of the text of each segment
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
    this.parts = this.speakers.names.size ? selectedParts(this.speakers.segments) : [];
    if (!this.isEmpty && this.form.hidden) this.speakers.showOptions(this.form.elements.speaker);
    this.form.hidden = this.isEmpty;
  }

  /** Resolves to the problem, which is shown; empty if the speaker was changed. */
  async assign(number) {
    const { item } = this.parts[0];
    const { parts, problem } = await this.requested();
    const found = problem || await this.speakers.assignParts(parts, number);
    if (found) {
      this.speakers.showStatus(found, true);
      return found;
    }
    document.getSelection().removeAllRanges();
    this.speakers.focusOn(item);
    this.changed();
    return "";
  }

  /** The parts as the API takes them. Only the server knows the words of the text. */
  async requested() {
    const isWhole = ({ item, start, end }) => !start && end === textOf(item).textContent.length;
    if (this.parts.every(isWhole)) return { parts: this.parts.map(({ item }) => part(item)) };
    const { body, problem } = await this.speakers.send("GET", "");
    if (problem) return { problem };
    const segments = new Map(body.segments.map((segment) => [segment.id, segment]));
    const found = this.parts.map((each) => (
      isWhole(each) ? part(each.item) : words(each, segments.get(part(each.item).segment))
    ));
    return { parts: found.filter(Boolean) };
  }
}

function part(item) {
  return { segment: Number(item.dataset.segment) };
}

function textOf(item) {
  return item.querySelector(".segment-text");
}

/** The words that are at least partly selected; null if there are none. */
function words({ item, start, end }, { words: all, text }) {
  let position = 0;
  const selected = all.map((word, index) => {
    const first = Math.max(text.indexOf(word.text, position), position);
    position = first + word.text.length;
    return first < end && position > start ? index + 1 : 0;
  }).filter(Boolean);
  if (!selected.length) return null;
  return { ...part(item), first_word: selected[0], last_word: selected.at(-1) };
}

/** Of each segment with selected text, which characters; those of text that is edited do not count. */
function selectedParts(segments) {
  const selection = document.getSelection();
  if (selection.isCollapsed || !segments.contains(selection.anchorNode)) return [];
  const range = selection.getRangeAt(0);
  return [...segments.children].filter((item) => !item.hidden && range.intersectsNode(textOf(item)))
    .map((item) => ({ item, ...characters(range, textOf(item)) }))
    .filter(({ item, start, end }) => !textOf(item).isContentEditable
      && textOf(item).textContent.slice(start, end).trim());
}

function characters(range, element) {
  const before = document.createRange();
  const selected = document.createRange();
  before.selectNodeContents(element);
  selected.selectNodeContents(element);
  if (element.contains(range.startContainer)) selected.setStart(range.startContainer, range.startOffset);
  if (element.contains(range.endContainer)) selected.setEnd(range.endContainer, range.endOffset);
  before.setEnd(selected.startContainer, selected.startOffset);
  const start = before.toString().length;
  return { start, end: start + selected.toString().length };
}
