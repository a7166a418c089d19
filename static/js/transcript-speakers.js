/**
 * <transcript-speakers data-id>: the speakers of a transcript with their share of the talk. A name is
 * shown where a turn begins; one of the list hides the segments of the others. Digits assign the
 * speaker of the selected text, or of the segment that has the focus.
 */
import { sendJson } from "./requests.js";
import { SpeakerDialog } from "./speaker-dialog.js";
import { SpeakerList, numberOf, setNumber } from "./speaker-list.js";
import { SpeakerSelection } from "./speaker-selection.js";
import { text } from "./text.js";

const DIGIT = /^(?:Digit|Numpad)([1-9])$/; // a `code`: which keys have digits depends on the layout

customElements.define("transcript-speakers", class extends HTMLElement {
  connectedCallback() {
    this.page = this.closest("live-transcript");
    this.segments = this.page.querySelector("#segments");
    this.status = this.querySelector("[role=status]");
    const rows = [...this.querySelectorAll("li")];
    this.names = new Map(rows.map((row) => [numberOf(row), row.dataset.name]));
    this.only = null; // the speaker whose segments are shown; null: all are
    this.list = new SpeakerList(this);
    this.dialog = new SpeakerDialog(this);
    this.selection = new SpeakerSelection(this);
    this.page.addEventListener("segment-added", ({ target, detail }) => this.added(target, detail));
    this.page.addEventListener("speakers-changed", (event) => this.relabel(event.detail));
    this.page.addEventListener("keydown", (event) => this.keyPressed(event));
    this.segments.addEventListener("click", (event) => {
      const button = event.target.closest(".turn-speaker");
      if (button) this.dialog.open(button.closest(".segment"));
    });
    this.page.addEventListener("focusout", () => this.showStatus(""));
    this.show();
  }

  /** What is shown for a speaker: the name, if there is one. */
  label(number) {
    return this.names.get(number) || text(this, "label", { number });
  }

  // --- Changes --------------------------------------------------------------------------------

  added(item, { words }) {
    this.markOverlap(item, words.some((word) => word.overlap));
    if (numberOf(item) && !this.names.has(numberOf(item))) this.names.set(numberOf(item), "");
    this.showSegment(item);
    this.frame ??= requestAnimationFrame(() => { // many may come at the same time
      this.frame = null;
      this.showList();
    });
  }

  /** Takes the event of the server: numbers that were shown may mean somebody else now. */
  relabel({ speakers, segments }) {
    this.names = namesIn(speakers);
    const items = new Map([...this.segments.children].map((item) => [Number(item.dataset.segment), item]));
    for (const { id, speaker, overlap } of segments) {
      setNumber(items.get(id), speaker);
      this.markOverlap(items.get(id), overlap?.length);
    }
    this.show();
  }

  /** Resolves to the problem if the name was not accepted; empty if it was. */
  async rename(number, name) {
    const { body, problem } = await this.send("PATCH", `/speakers/${number}`, { name });
    if (problem) return problem;
    this.names.set(number, body.name ?? "");
    this.show();
    return "";
  }

  /** Resolves to the problem if the segment still has its speaker; empty if it was changed. */
  async assign(item, number) {
    const path = `/segments/${item.dataset.segment}`;
    const { body, problem } = await this.send("PATCH", path, { speaker: number });
    if (problem) return problem;
    if (!this.names.has(number)) this.names.set(number, "");
    setNumber(item, body.speaker);
    this.show();
    this.showStatus(text(this, "assigned", { speaker: this.label(number) }));
    return "";
  }

  /** Gives segments, or words of them, to a speaker. Resolves to the problem; empty if it was done. */
  async assignParts(parts, speaker) {
    const { body, problem } = await this.send("POST", "/speakers/assign", { speaker, parts });
    if (problem) return problem;
    this.relabel(body);
    this.showStatus(text(this, "given", { speaker: this.label(speaker) }));
    return "";
  }

  /** Resolves to the problem if there are still two speakers; empty if there is one. */
  async merge(from, into) {
    const { body, problem } = await this.send("POST", "/speakers/merge", { from, into });
    if (problem) return problem;
    this.names = namesIn(body);
    for (const item of this.segments.children) if (numberOf(item) === from) setNumber(item, into);
    this.show();
    return "";
  }

  send(method, path, content) {
    return sendJson(this, method, `/api/transcriptions/${this.dataset.id}${path}`, content);
  }

  /** Digits assign, with Alt while typing. */
  async keyPressed(event) {
    const number = Number(DIGIT.exec(event.code)?.[1]);
    const item = event.target.closest("#segments > .segment");
    const hasModifier = event.ctrlKey || event.metaKey || event.shiftKey;
    const isTyping = event.target.isContentEditable;
    if (!number || !item || hasModifier || event.altKey !== isTyping || !this.names.size) return;
    event.preventDefault();
    const unknown = this.names.has(number) ? "" : text(this, "unknown", { number });
    if (!unknown && !isTyping && !this.selection.isEmpty) {
      await this.selection.assign(number);
      return;
    }
    const problem = unknown || await this.assign(item, number);
    if (problem) this.showStatus(problem, true);
    else if (document.activeElement === document.body) this.focusOn(item); // its name was removed
  }

  // --- Display --------------------------------------------------------------------------------

  /** Shows only the segments of this speaker; all if it is null. */
  showOnly(number) {
    this.only = number;
    this.show();
  }

  show() {
    if (!this.names.has(this.only)) this.only = null;
    for (const item of this.segments.children) this.showSegment(item);
    this.showList();
  }

  showSegment(item) {
    const number = numberOf(item);
    const beginsTurn = number && number !== numberOf(item.previousElementSibling);
    let button = item.querySelector(".turn-speaker");
    if (!beginsTurn) button?.remove();
    else {
      if (!button) {
        button = this.clone("[data-turn-template]");
        item.querySelector(".segment-text").before(button);
      }
      button.textContent = this.label(number);
    }
    item.hidden = Boolean(this.only) && number !== this.only;
  }

  showList() {
    this.list.show(this.segments.children, this.only);
    this.hidden = !this.names.size;
  }

  /** Focuses the name in a segment, or its time if no turn begins with it; if it is hidden, the list. */
  focusOn(item) {
    if (item.hidden) this.list.focus();
    else (item.querySelector(".turn-speaker") ?? item.querySelector(".timestamp")).focus();
  }

  markOverlap(item, isMarked) {
    item?.querySelector(".overlap-mark")?.remove();
    if (isMarked) item?.append(this.clone("[data-overlap-template]"));
  }

  /** Offers all speakers in a field, except for one, and a new one. */
  showOptions(select, except = null) {
    const numbers = [...this.names.keys()].filter((number) => number !== except).sort((a, b) => a - b);
    const options = numbers.map((number) => new Option(this.label(number), number));
    select.replaceChildren(...options, select.querySelector("[value=new]") ?? "");
    select.selectedIndex = 0;
  }

  /** The number of the speaker that was chosen in such a field. */
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

function namesIn(speakers) {
  return new Map(speakers.map(({ number, name }) => [number, name ?? ""]));
}
