/**
 * <transcript-notes>: the panel with the highlights, comments and bookmarks in order of time. It is
 * next to the text, or covers a part of it on a small screen.
 */
import { markDraft } from "./annotation-marks.js";
import { add, annotations, change, load, offsetsBetween, remove } from "./annotations.js";
import { copy } from "./clipboard.js";
import { formatDuration } from "./duration.js";
import { NoteForm } from "./note-form.js";
import { noteRow } from "./note-row.js";
import { notesText } from "./passage-text.js";
import { momentAtHand, segmentNear } from "./selected-text.js";
import { register } from "./shortcuts.js";
import { showSegment } from "./show-segment.js";
import { text } from "./text.js";

const STATUS_MS = 5000; // how long a message is shown
const FIELDS = ["kind", "start", "end", "quote", "body", "color"]; // of a note that is restored

customElements.define("transcript-notes", class extends HTMLElement {
  connectedCallback() {
    this.page = this.closest("live-transcript");
    this.root = this.page.querySelector("#segments");
    this.status = this.page.querySelector("#notes-status");
    this.list = this.querySelector("ol");
    this.filter = this.querySelector("select");
    this.undo = this.querySelector("[data-undo]");
    this.form = new NoteForm(this.querySelector("form"), (problem) => this.showProblem(problem));
    this.page.addEventListener("annotations-changed", () => this.show());
    this.filter.addEventListener("change", () => this.show());
    this.addEventListener("click", ({ target }) => {
      const name = target.closest("[data-do]")?.dataset.do;
      if (name) this[name](this.annotationOf(target));
    });
    this.addEventListener("keydown", (event) => { if (event.key === "Escape") this.close(); });
    this.page.querySelector("[data-notes]").addEventListener("click", ({ target }) => {
      target.closest("[popover]").hidePopover();
      this.open();
    });
    register("notes", text(this, "notes"), ["Alt+O"], () => (this.hidden ? this.open() : this.close()));
    register("bookmark", text(this, "addBookmark"), ["Alt+B"], (event) => { if (!event?.repeat) this.bookmark(); });
  }

  // --- The panel --------------------------------------------------------------------------------

  async open() {
    this.hidden = false;
    this.show();
    this.querySelector("h2").focus();
    this.showProblem(await load());
  }

  close() {
    if (this.form.keepsUnsaved()) return;
    this.form.close(false);
    this.hidden = true;
    this.showUndo(null);
    this.focusText();
  }

  /** Opens it at a note. */
  openAt(id) {
    this.hidden = false;
    this.filter.value = "";
    this.show();
    const row = this.row(id);
    row?.scrollIntoView({ block: "nearest" });
    row?.querySelector("button").focus();
  }

  /** Opens the form for a comment on a passage. */
  compose(passage) {
    if (this.form.keepsUnsaved()) return;
    const { anchorNode, anchorOffset, focusNode, focusOffset } = getSelection();
    this.hidden = false;
    this.show();
    markDraft(passage);
    this.form.open(this.querySelector("[data-new]"), { quote: passage.quote, isRequired: true }, {
      save: ({ body }) => add({ kind: "comment", ...passage, body }),
      closed: (isSaved) => {
        markDraft(null);
        this.show();
        if (isSaved && this.isOverText) this.hidden = true;
        this.focusText();
        if (!anchorNode?.isConnected || !focusNode?.isConnected) return;
        getSelection().setBaseAndExtent(anchorNode, anchorOffset, focusNode, focusOffset);
        if (isSaved) getSelection().collapseToEnd();
      },
    });
  }

  get isOverText() {
    return getComputedStyle(this).getPropertyValue("--is-over-text").trim() === "1";
  }

  focusText() {
    this.root.focus({ preventScroll: true });
  }

  // --- Commands ---------------------------------------------------------------------------------

  async bookmark() {
    const { start, quote } = momentAtHand();
    const problem = await add({ kind: "bookmark", start, quote });
    this.showStatus(problem || text(this, "bookmarked", { time: formatDuration(start) }), Boolean(problem));
  }

  jump({ start, end }) {
    const segment = segmentNear(start);
    if (segment) showSegment(segment, ...(offsetsBetween(segment, start, end) ?? []));
  }

  edit(annotation) {
    if (this.form.keepsUnsaved()) return;
    const { id, kind, body, color } = annotation;
    this.form.open(this.row(id), { body, color, isRequired: kind === "comment" }, {
      save: (fields) => change(annotation, fields),
      closed: () => {
        this.show();
        this.row(id)?.querySelector("[data-do=edit]").focus();
      },
    });
  }

  async delete(annotation) {
    const problem = await remove(annotation);
    this.showProblem(problem);
    if (!problem) this.showUndo(annotation);
  }

  async restore() {
    const fields = Object.fromEntries(FIELDS.map((name) => [name, this.deleted[name]]));
    const problem = await add(fields);
    this.showProblem(problem);
    if (problem) return;
    this.showUndo(null);
    this.querySelector("h2").focus();
  }

  async copyAll() {
    const { plain, html } = notesText(this.shown, (kind) => text(this, kind));
    const isCopied = await copy(plain, html);
    this.showStatus(text(this, isCopied ? "copied" : "notCopied"), !isCopied);
  }

  // --- Display ----------------------------------------------------------------------------------

  get shown() {
    return annotations.filter(({ kind }) => !this.filter.value || kind === this.filter.value);
  }

  show() {
    if (this.hidden || this.form.isOpen) return; // the list is updated when the form is closed
    const { shown } = this;
    const template = this.querySelector("template[data-row]");
    this.list.replaceChildren(...shown.map((each) => noteRow(template, each, text(this, each.kind))));
    this.querySelector("[data-empty]").hidden = shown.length > 0;
    this.querySelector("[data-do=copyAll]").disabled = !shown.length;
  }

  annotationOf(element) {
    const id = Number(element.closest("li")?.dataset.note);
    return annotations.find((each) => each.id === id);
  }

  row(id) {
    return this.list.querySelector(`[data-note="${id}"]`);
  }

  /** Offers to restore a deleted note; null: ends the offer. */
  showUndo(annotation) {
    this.deleted = annotation;
    this.undo.hidden = !annotation;
    if (annotation) this.undo.querySelector("button").focus();
  }

  showProblem(message) {
    this.querySelector("[role=alert]").textContent = message;
  }

  /** Shows a message for a while, whether the panel is open or not. */
  showStatus(message, isProblem = false) {
    clearTimeout(this.timer);
    this.status.textContent = message;
    this.status.classList.toggle("problem", isProblem);
    this.timer = setTimeout(() => { this.status.textContent = ""; }, STATUS_MS);
  }
});
