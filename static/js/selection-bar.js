/**
 * <selection-bar>: commands for the selected text, near its end. The text keeps the focus and the
 * selection. On touch screens the bar is at the bottom, away from the selection handles.
 */
import { add } from "./annotations.js";
import { copy } from "./clipboard.js";
import { NEW_TEXT } from "./edit-operations.js";
import { knowWords } from "./load-times.js";
import { passageText } from "./passage-text.js";
import { partsAtHand, passageOf, selectedParts, textOf } from "./selected-text.js";
import { register } from "./shortcuts.js";
import { text } from "./text.js";

const GAP_PX = 8; // to the selected text, and to the edges
const isTouch = matchMedia("(pointer: coarse)").matches;

customElements.define("selection-bar", class extends HTMLElement {
  connectedCallback() {
    this.root = document.querySelector("#segments");
    this.notes = document.querySelector("transcript-notes");
    this.color = "yellow"; // the last chosen one
    this.parts = []; // { segment, from, to }: which characters of each segment
    document.addEventListener("selectionchange", () => this.changed());
    this.closest("live-transcript").addEventListener("text-changed", () => this.changed());
    for (const type of ["pointerdown", "pointerup", "pointercancel"]) {
      document.addEventListener(type, () => {
        this.isPressed = type === "pointerdown"; // the bar would be in the way of the pointer
        this.changed();
      });
    }
    for (const type of ["scroll", "resize"]) {
      window.addEventListener(type, () => { if (!this.hidden) this.place(); }, { passive: true });
    }
    this.addEventListener("focusout", (event) => {
      if (!this.contains(event.relatedTarget)) this.changed();
    });
    this.addEventListener("mousedown", (event) => {
      if (event.target.closest("button")) event.preventDefault(); // the text keeps the focus
    });
    this.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-do]");
      if (button) this[button.dataset.do](button.dataset.color);
    });
    this.addEventListener("keydown", (event) => { if (event.key === "Escape") this.focusText(); });
    register("highlight", text(this, "highlight"), ["Alt+H"], () => this.highlight());
    register("comment", text(this, "comment"), ["Alt+M"], () => this.comment());
    register("copy-passage", text(this, "copy"), ["Alt+C"], () => this.copy());
    register("selection-tools", text(this, "tools"), ["Alt+S"], () => this.focusFirst());
  }

  get isEmpty() {
    return !this.parts.length;
  }

  /** Whether only the text of a new segment is selected, for typing over it. */
  get isNew() {
    return this.parts.length === 1 && textOf(this.parts[0]) === NEW_TEXT;
  }

  changed() {
    if (this.isPressed || this.contains(document.activeElement)) return;
    const wasHidden = this.hidden;
    this.parts = selectedParts();
    this.hidden = this.isEmpty || this.isNew;
    if (this.hidden) return;
    if (wasHidden) this.dispatchEvent(new CustomEvent("shown"));
    this.place();
  }

  // --- Commands ---------------------------------------------------------------------------------

  /** Highlights the passage in a color, or in the last one. */
  async highlight(color = this.color) {
    const parts = this.partsAtHand();
    if (!parts.length) return;
    this.color = color;
    await knowWords(parts);
    this.notes.showStatus(await add({ kind: "highlight", color, ...passageOf(parts) }), true);
    if (!this.isEmpty) this.leave();
  }

  async comment() {
    const parts = this.partsAtHand();
    await knowWords(parts);
    if (parts.length) this.notes.compose(passageOf(parts));
    this.hidden = true;
  }

  async copy() {
    const parts = this.partsAtHand();
    if (!parts.length) return;
    const { plain, html } = passageText(parts);
    const isCopied = await copy(plain, html);
    this.notes.showStatus(text(this, isCopied ? "copied" : "notCopied"), !isCopied);
    if (this.contains(document.activeElement)) this.focusText();
  }

  partsAtHand() {
    return this.contains(document.activeElement) ? this.parts : partsAtHand();
  }

  // --- Focus and place --------------------------------------------------------------------------

  focusFirst() {
    if (this.hidden) return false;
    this.querySelector("button").focus();
    return true;
  }

  /** Returns to the text, with its selection. */
  focusText() {
    const { anchorNode, anchorOffset, focusNode, focusOffset } = getSelection();
    this.root.focus({ preventScroll: true });
    if (anchorNode) getSelection().setBaseAndExtent(anchorNode, anchorOffset, focusNode, focusOffset);
  }

  /** Removes the selection: the caret moves to its end. */
  leave() {
    this.focusText();
    getSelection().collapseToEnd();
    this.changed();
  }

  place() {
    if (isTouch) return;
    const { top, bottom, left } = this.focusBox();
    const { offsetWidth: width, offsetHeight: height } = this;
    const bar = document.querySelector("transcript-bar")?.getBoundingClientRect().bottom ?? 0;
    const player = document.querySelector("transcript-player:not([hidden])")?.offsetHeight ?? 0;
    const first = Math.max(bar, 0) + GAP_PX, last = window.innerHeight - player - height - GAP_PX;
    const below = bottom + GAP_PX, above = top - GAP_PX - height;
    const isBelow = above < first || (below <= last && this.isForward());
    this.style.top = `${between(first, isBelow ? below : above, last)}px`;
    this.style.left = `${between(GAP_PX, left - width / 2, document.documentElement.clientWidth - width - GAP_PX)}px`;
  }

  /** The end of the selection that was extended last. */
  focusBox() {
    const { focusNode, focusOffset } = getSelection();
    const range = document.createRange();
    range.setStart(focusNode, focusOffset);
    const box = range.getBoundingClientRect();
    return box.height ? box : this.parts.at(-1).segment.element.getBoundingClientRect();
  }

  isForward() {
    const { anchorNode, anchorOffset } = getSelection();
    const range = getSelection().getRangeAt(0);
    return range.startContainer === anchorNode && range.startOffset === anchorOffset;
  }
});

function between(least, value, most) {
  return Math.max(least, Math.min(value, most));
}
