/**
 * <transcript-speakers data-id>: the speakers of a transcript with their share of the talk. A name is
 * shown where a turn begins; one of the list hides the segments of the others. Digits assign the
 * speaker of the segment that has the focus.
 */
import { SpeakerDialog } from "./speaker-dialog.js";
import { sendJson } from "./requests.js";
import { text } from "./text.js";

const DIGIT = /^(?:Digit|Numpad)([1-9])$/; // a `code`: which keys have digits depends on the layout

customElements.define("transcript-speakers", class extends HTMLElement {
  connectedCallback() {
    this.page = this.closest("live-transcript");
    this.segments = this.page.querySelector("#segments");
    this.list = this.querySelector("ul");
    this.status = this.querySelector("[role=status]");
    this.names = new Map([...this.list.children].map((row) => [numberOf(row), row.dataset.name]));
    this.only = null; // the speaker whose segments are shown; null: all are
    this.dialog = new SpeakerDialog(this);
    this.page.addEventListener("segment-added", (event) => this.added(event.target));
    this.page.addEventListener("speakers-changed", (event) => this.relabel(event.detail));
    this.page.addEventListener("keydown", (event) => this.keyPressed(event));
    this.segments.addEventListener("click", (event) => {
      const button = event.target.closest(".turn-speaker");
      if (button) this.dialog.open(button.closest(".segment"));
    });
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest("button")?.closest("li");
      if (row) this.showOnly(numberOf(row) === this.only ? null : numberOf(row));
    });
    this.show();
  }

  /** What is shown for a speaker: the name, if there is one. */
  label(number) {
    return this.names.get(number) || text(this, "label", { number });
  }

  // --- Changes --------------------------------------------------------------------------------

  added(item) {
    if (numberOf(item) && !this.names.has(numberOf(item))) this.names.set(numberOf(item), "");
    this.showSegment(item);
    this.showList();
  }

  /** Takes the event of the server: numbers that were shown may mean somebody else now. */
  relabel({ speakers, segments }) {
    this.names = namesIn(speakers);
    const items = new Map([...this.segments.children].map((item) => [Number(item.dataset.segment), item]));
    for (const { id, speaker } of segments) setNumber(items.get(id), speaker);
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
    const problem = unknown || await this.assign(item, number);
    if (problem) this.showStatus(problem, true);
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
    const seconds = this.seconds();
    const total = [...seconds.values()].reduce((sum, each) => sum + each, 0) || 1;
    const numbers = [...this.names.keys()].sort((a, b) => a - b);
    const { children } = this.list;
    for (const [index, number] of numbers.entries()) {
      const row = this.row(number, seconds.get(number) / total);
      if (children[index] !== row) this.list.insertBefore(row, children[index] ?? null);
    }
    while (children.length > numbers.length) this.list.lastElementChild.remove();
    this.querySelector(".talk-share").replaceChildren(...numbers.map((number) => {
      const part = document.createElement("span");
      setNumber(part, number);
      part.style.flexGrow = seconds.get(number) / total;
      return part;
    }));
    this.hidden = !this.names.size;
  }

  /** The existing row of a speaker, so that it keeps the focus, or a new one. */
  row(number, share) {
    const existing = this.list.querySelector(`[data-speaker="${number}"]`);
    const row = existing ?? this.clone("[data-speaker-template]");
    setNumber(row, number);
    row.querySelector(".speaker-number").textContent = number;
    row.querySelector(".speaker-name").textContent = this.label(number);
    row.querySelector(".speaker-share").textContent = share.toLocaleString(
      document.documentElement.lang, { style: "percent" },
    );
    row.querySelector("button").ariaPressed = String(number === this.only);
    return row;
  }

  /** How long each speaker talks. */
  seconds() {
    const result = new Map([...this.names.keys()].map((number) => [number, 0]));
    for (const item of this.segments.children) {
      const number = numberOf(item);
      const length = item.dataset.end - item.dataset.start;
      if (number) result.set(number, (result.get(number) ?? 0) + length);
    }
    return result;
  }

  showStatus(message, isProblem = false) {
    this.status.textContent = message;
    this.status.classList.toggle("problem", isProblem);
  }

  clone(template) {
    return this.querySelector(template).content.cloneNode(true).firstElementChild;
  }
});

/** The number of the speaker that an element is about; null if there is none. */
export function numberOf(element) {
  return Number(element?.dataset.speaker) || null;
}

function namesIn(speakers) {
  return new Map(speakers.map(({ number, name }) => [number, name ?? ""]));
}

function setNumber(element, number) {
  if (!element) return;
  if (number) element.dataset.speaker = number;
  else delete element.dataset.speaker;
}
