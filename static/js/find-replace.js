/**
 * <find-replace>: finds a text in the transcript, marks all matches, and replaces one or all. It
 * previews the replacement of each match.
 */
import { changesOf, matchesIn, patternOf, replaced } from "./find-matches.js";
import { matchRow } from "./match-row.js";
import { register } from "./shortcuts.js";
import { showSegment } from "./show-segment.js";
import { isComposing, text } from "./text.js";
import { placeCaret } from "./text-positions.js";
import { draw, mark } from "./text-marks.js";
import { positionOf, rangeOf, segments } from "./transcript-text.js";

const DELAY_MS = 150; // after the last key, before the search starts
const MAX_LISTED = 200; // matches in the preview

customElements.define("find-replace", class extends HTMLElement {
  connectedCallback() {
    this.page = this.closest("live-transcript");
    this.editor = this.page.querySelector("transcript-editor");
    this.form = this.querySelector("form");
    this.status = this.querySelector("[role=status]");
    this.list = this.querySelector("ol");
    this.hits = []; // the matches: see find-matches.js
    this.current = -1;
    register("find", text(this, "find"), ["Mod+F"], () => this.open());
    this.page.querySelector("[data-find]")?.addEventListener("click", () => this.open());
    this.form.addEventListener("input", () => this.later());
    this.addEventListener("keydown", (event) => this.keyPressed(event));
    this.addEventListener("click", ({ target }) => this.clicked(target.closest("button")?.dataset ?? {}));
    this.list.addEventListener("click", ({ target }) => {
      const row = target.closest("li");
      if (row) this.show([...this.list.children].indexOf(row));
    });
    this.querySelector("details").addEventListener("toggle", () => this.showList());
    for (const name of ["text-changed", "typed"]) {
      this.page.addEventListener(name, () => { if (!this.hidden) this.later(); });
    }
  }

  /** Opens the panel with the selected text; if it is focused, the browser's own search opens. */
  open() {
    if (this.contains(document.activeElement)) return false;
    const selected = String(getSelection()).trim();
    const { find } = this.form.elements;
    if (selected && !selected.includes("\n")) find.value = selected;
    this.hidden = false;
    this.querySelector("[data-replacing]").hidden = !this.page.querySelector("#segments").isContentEditable;
    find.focus();
    find.select();
    this.search();
    return true;
  }

  close() {
    this.hidden = true;
    mark("match", null);
    draw("current-match", []);
    const match = this.hits[this.current];
    if (match) placeCaret(match.parts.at(-1).segment, match.parts.at(-1).to);
    this.page.querySelector("#segments").focus({ preventScroll: true });
  }

  keyPressed(event) {
    if (isComposing(event)) return;
    if (event.key === "Escape") this.close();
    else if (event.key === "Enter" && event.target.type === "text") this.go(event.shiftKey ? -1 : 1);
    else return;
    event.preventDefault();
  }

  clicked({ do: name, go }) {
    if (go) this.go(Number(go));
    else this[name]?.();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.search(), DELAY_MS);
  }

  // --- Finding ----------------------------------------------------------------------------------

  search() {
    clearTimeout(this.timer);
    const { find, replacement, isExact, isWord, isPattern } = this.form.elements;
    const options = { isExact: isExact.checked, isWord: isWord.checked, isPattern: isPattern.checked };
    const { pattern, isInvalid } = patternOf(find.value, options);
    const after = (match) => replaced(match, replacement.value, options.isPattern);
    const paragraphs = pattern ? Map.groupBy(segments, ({ element }) => element.parentElement).values() : [];
    this.hits = [...paragraphs].flatMap((paragraph) => matchesIn(paragraph, pattern, after));
    const bySegment = Map.groupBy(this.hits.flatMap(({ parts }) => parts), ({ segment }) => segment);
    mark("match", (segment) => (bySegment.get(segment) ?? []).map(({ from, to }) => [from, to]));
    this.current = Math.min(this.current, this.hits.length - 1);
    this.showCurrent();
    find.setAttribute("aria-invalid", String(isInvalid));
    this.showStatus(isInvalid ? text(this, "invalid") : "");
    this.showList();
  }

  /** Goes to the next or the previous match, at first from the caret. */
  go(step) {
    if (!this.hits.length) return;
    const count = this.hits.length;
    const start = this.current < 0 ? this.firstAfterCaret() - (step > 0 ? 1 : 0) : this.current;
    this.show((start + step + count) % count);
  }

  firstAfterCaret() {
    const { focusNode, focusOffset } = getSelection();
    const place = focusNode && positionOf(focusNode, focusOffset);
    if (!place) return 0;
    const index = this.hits.findIndex(({ parts: [{ segment, from }] }) =>
      segment.id > place.segment.id || (segment === place.segment && from >= place.offset));
    return Math.max(0, index);
  }

  show(index) {
    this.current = index;
    const { segment, from, to } = this.hits[index].parts.find((part) => part.from < part.to);
    showSegment(segment, from, to);
    this.showCurrent();
    this.showStatus("");
  }

  // --- Replacing --------------------------------------------------------------------------------

  replace() {
    this.search(); // the last input may not have been searched yet
    if (this.current < 0) {
      this.go(1);
      return;
    }
    const index = this.current;
    this.make([this.hits[index]]);
    this.search();
    if (this.hits.length) this.show(index % this.hits.length);
  }

  replaceAll() {
    this.search();
    const count = this.hits.length;
    const isMade = this.make(this.hits);
    this.search();
    if (isMade) this.showStatus(text(this, "done", { count }));
  }

  /** Replaces these matches in one edit, which can be undone. Returns false while the page waits for
   * the result of an undo or the like. */
  make(matches) {
    const { session } = this.editor;
    if (session.isBusy) session.giveUpRequests();
    if (!matches.length || session.isBusy) return false;
    session.flush();
    session.apply(changesOf(matches));
    return true;
  }

  // --- Display ----------------------------------------------------------------------------------

  showCurrent() {
    const match = this.hits[this.current];
    draw("current-match", (match?.parts ?? []).map(({ segment, from, to }) => rangeOf(segment, from, to)));
  }

  showStatus(message) {
    const { length } = this.hits;
    const values = { index: this.current + 1, count: length };
    const place = this.current < 0 ? "count" : "position";
    const found = text(this, length ? place : "none", values);
    this.status.textContent = message || (this.form.elements.find.value ? found : "");
    for (const button of this.querySelectorAll("[data-needs-match]")) button.disabled = !length;
  }

  showList() {
    const isOpen = this.querySelector("details").open;
    this.list.replaceChildren(...(isOpen ? this.hits.slice(0, MAX_LISTED).map(matchRow) : []));
  }
});
