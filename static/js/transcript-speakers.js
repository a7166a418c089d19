/**
 * <transcript-speakers data-id>: the speakers of a transcript with their shares of the speech. A
 * name is shown where a turn begins; selecting a speaker in the list hides the paragraphs of the
 * others. Digits assign the speaker of the selected text, of the segment with the caret, or of the
 * paragraph whose name has the focus.
 */
import { SpeakerDialog } from "./speaker-dialog.js";
import { SpeakerDigits, digitOf } from "./speaker-digits.js";
import { SpeakerList, numberOf } from "./speaker-list.js";
import { SpeakerRequests } from "./speaker-requests.js";
import { SpeakerSelection } from "./speaker-selection.js";
import { SpeakerSplit } from "./speaker-split.js";
import { text } from "./text.js";
import {
  paragraphAfter, paragraphBefore, relabel, segmentWithCaret, segments, segmentsIn,
} from "./transcript-text.js";

const FIELDS = "input, select, textarea, dialog *, [popover] *"; // where digits mean something else

customElements.define("transcript-speakers", class extends SpeakerRequests(HTMLElement) {
  connectedCallback() {
    this.page = this.closest("live-transcript");
    this.root = this.page.querySelector("#segments");
    this.status = this.querySelector("[role=status]");
    const rows = [...this.querySelectorAll("li")];
    this.names = new Map(rows.map((row) => [numberOf(row), row.dataset.name]));
    this.voices = new Map(rows.map((row) => [numberOf(row), voiceIn(row.dataset)]));
    this.only = null; // the speaker whose segments are shown; null: all
    this.list = new SpeakerList(this);
    this.digits = new SpeakerDigits();
    this.dialog = new SpeakerDialog(this);
    this.voiceSplit = new SpeakerSplit(this);
    this.selection = new SpeakerSelection(this);
    this.page.addEventListener("text-changed", (event) => this.changed(event.detail.paragraphs));
    this.page.addEventListener("speakers-changed", (event) => this.relabel(event.detail));
    this.page.addEventListener("speakers-named", ({ detail }) => {
      this.names = new Map(Object.entries(detail).map(([number, name]) => [Number(number), name]));
      this.show();
    });
    document.addEventListener("keydown", (event) => this.keyPressed(event));
    this.root.addEventListener("click", (event) => {
      const button = event.target.closest(".turn-speaker");
      if (button) this.dialog.open(button.closest(".paragraph"));
    });
    this.page.addEventListener("focusout", () => this.showStatus(""));
    this.showList(); // the paragraphs come from the server
  }

  /** The label of a speaker: the name, if there is one. */
  label(number) {
    return this.names.get(number) || text(this, "label", { number });
  }

  /** Whether the name was found by voice. */
  isRecognized(number) {
    return Boolean(this.voices.get(number)?.recognized);
  }

  /** The id of the voice that is recognized in a speaker, or learned from it; null if none is. */
  voiceOf(number) {
    return this.voices.get(number)?.voice ?? null;
  }

  // --- Changes --------------------------------------------------------------------------------

  /** Shows the names in paragraphs that are new or have changed, and in those after them. */
  changed(paragraphs) {
    for (const { speaker } of paragraphs.flatMap(segmentsIn)) {
      if (speaker && !this.names.has(speaker)) this.names.set(speaker, "");
    }
    for (const paragraph of paragraphs) {
      this.showParagraph(paragraph);
      const next = paragraphAfter(paragraph);
      if (next) this.showParagraph(next);
    }
    this.frame ??= requestAnimationFrame(() => { // many may arrive at the same time
      this.frame = null;
      this.showList();
    });
  }

  /** Applies an event of the server: numbers may now mean other speakers. */
  relabel({ speakers, segments: changes }) {
    this.take(speakers);
    relabel(changes);
    this.show();
    this.dialog.update();
  }

  /** Applies the server's list of speakers. */
  take(speakers) {
    this.names = new Map(speakers.map(({ number, name }) => [number, name ?? ""]));
    this.voices = new Map(speakers.map((speaker) => [speaker.number, speaker]));
  }

  /** Digits assign, with Alt while typing. */
  keyPressed(event) {
    const digit = digitOf(event, event.target.isContentEditable);
    if (!digit || !this.names.size || event.target.matches(FIELDS)) return;
    const paragraph = event.target.closest("#segments .paragraph-head")?.parentElement;
    const items = paragraph ? segmentsIn(paragraph) : [segmentWithCaret()].filter(Boolean);
    if (!items.length) return;
    event.preventDefault();
    this.digits.add(digit, {
      place: items[0].id,
      highest: Math.max(...this.names.keys()),
      done: (number) => this.numberTyped(number, paragraph, items),
    });
  }

  /** Assigns the items: those of the paragraph, if given, or the selected text. */
  async numberTyped(number, paragraph, items) {
    const unknown = this.names.has(number) ? "" : text(this, "unknown", { number });
    if (!unknown && !paragraph && !this.selection.isEmpty) {
      await this.selection.assign(number);
      return;
    }
    const problem = unknown || await this.assign(items, number);
    if (problem) this.showStatus(problem, true);
    else if (paragraph && [document.body, this.root].includes(document.activeElement)) this.focusOn(items[0]);
  }

  // --- Display --------------------------------------------------------------------------------

  /** Shows only the paragraphs of this speaker; null: all. */
  showOnly(number) {
    this.only = number;
    this.show();
  }

  show() {
    if (!this.names.has(this.only)) this.only = null;
    for (const paragraph of this.root.querySelectorAll(".paragraph")) this.showParagraph(paragraph);
    this.showList();
  }

  showParagraph(paragraph) {
    const number = numberOf(paragraph);
    const beginsTurn = number && number !== numberOf(paragraphBefore(paragraph));
    let button = paragraph.querySelector(".turn-speaker");
    if (!beginsTurn) button?.remove();
    else {
      if (!button) {
        const { content } = document.querySelector("#paragraph-template");
        button = content.querySelector(".turn-speaker").cloneNode(true);
        paragraph.querySelector(".paragraph-head").prepend(button);
      }
      if (button.textContent !== this.label(number)) button.textContent = this.label(number);
    }
    paragraph.hidden = Boolean(this.only) && number !== this.only;
  }

  showList() {
    this.list.show(segments, this.only);
    this.hidden = !this.names.size;
    this.root.classList.toggle("with-speakers", this.names.size > 0);
    this.root.classList.toggle("filtered", this.only !== null);
  }

  /** Focuses the name of the paragraph that has a segment, or its time; if it is hidden, the list. */
  focusOn({ element }) {
    const paragraph = element.closest(".paragraph");
    if (paragraph.hidden) this.list.focus();
    else (paragraph.querySelector(".turn-speaker") ?? paragraph.querySelector(".timestamp")).focus();
  }

  openList() {
    this.querySelector("[popover]").showPopover();
  }

  /** Offers all speakers in a field, except for one, and a new one. */
  showOptions(select, except = null) {
    const numbers = [...this.names.keys()].filter((number) => number !== except).sort((a, b) => a - b);
    const options = numbers.map((number) => new Option(this.label(number), number));
    select.replaceChildren(...options, select.querySelector("[value=new]") ?? "");
    select.selectedIndex = 0;
  }

  /** The number of the speaker chosen in such a field. */
  chosen({ value }) {
    return value === "new" ? Math.max(...this.names.keys()) + 1 : Number(value);
  }

  showStatus(message, isProblem = false) {
    this.status.textContent = message;
    this.status.classList.toggle("problem", isProblem);
  }

  clone(template) {
    return this.querySelector(template).content.cloneNode(true).firstElementChild;
  }
});

function voiceIn({ recognized, voice }) {
  return { recognized: recognized !== undefined, voice: Number(voice) || null };
}
