/**
 * <transcript-editor data-id>: the text of a finished transcript and its title can be edited in
 * place. It shows whether everything is saved.
 */
import { insert } from "./edit-operations.js";
import { EditSession } from "./edit-session.js";
import { register } from "./shortcuts.js";
import { text } from "./text.js";
import { TextInput } from "./text-input.js";
import { TitleEditor } from "./title-editor.js";
import { segments } from "./transcript-text.js";

const isTouch = matchMedia("(pointer: coarse)").matches; // there, a tap plays, and a button starts editing

customElements.define("transcript-editor", class extends HTMLElement {
  connectedCallback() {
    const { id, revision } = this.dataset;
    this.page = this.closest("live-transcript");
    this.root = this.page.querySelector("#segments");
    this.status = this.querySelector("[role=status]");
    this.session = new EditSession(id, this, Number(revision));
    this.titleEditor = new TitleEditor(this.page.querySelector("h1"), this);
    this.input = new TextInput(this.root, this.session);
    this.listen();
    for (const name of ["undo", "redo"]) {
      const keys = { undo: ["Mod+Z"], redo: ["Mod+Shift+Z", "Mod+Y"] }[name];
      const run = () => this.session.request(`edits/${name}`);
      register(name, text(this, name), keys, () => (this.hasKeys ? run() : false));
      this.querySelector(`[data-${name}]`).addEventListener("click", run);
    }
    this.showPossible({ undo: "canUndo" in this.dataset, redo: "canRedo" in this.dataset });
    if (this.page.hasAttribute("data-finished")) this.start();
  }

  listen() {
    const { session, queue = session.queue } = this;
    this.button = this.querySelector("[data-edit]");
    this.button.addEventListener("click", () => this.open(!this.root.isContentEditable));
    this.querySelector("[data-retry]").addEventListener("click", () => this.retry());
    this.querySelector("[data-add]").addEventListener("click", () => this.add());
    this.querySelector("[data-discard]").addEventListener("click", () => session.discard());
    this.page.addEventListener("transcript-finished", () => this.start());
    this.page.addEventListener("revision-added", () => {
      queue.revision += 1;
      this.showPossible({ undo: true, redo: false });
    });
    this.root.addEventListener("focusout", () => session.flush());
    document.addEventListener("selectionchange", () => session.moved());
    window.addEventListener("online", () => this.retry());
    window.addEventListener("beforeunload", (event) => { if (this.isUnsaved) event.preventDefault(); });
    window.addEventListener("pagehide", () => session.flush());
  }

  /** Whether keys are for the text: a title, a comment and other fields have an undo of their own. */
  get hasKeys() {
    const focused = document.activeElement;
    const isField = focused.matches("input, textarea, select") || focused.isContentEditable;
    return this.root.isContentEditable && (this.root.contains(focused) || !isField);
  }

  get isUnsaved() {
    return this.session.isUnsaved || this.titleEditor.isUnsaved;
  }

  start() {
    if (!segments.length && this.page.querySelector("#status").dataset.state !== "completed") return;
    this.hidden = false;
    this.showState();
    this.button.hidden = !isTouch;
    this.open(!isTouch);
  }

  open(isOpen) {
    const { root } = this;
    if (isOpen) root.contentEditable = "true";
    else {
      this.session.flush();
      root.removeAttribute("contenteditable");
    }
    root.setAttribute("role", isOpen ? "textbox" : "region");
    root.ariaMultiLine = isOpen ? "true" : null;
    this.titleEditor.open(isOpen);
    this.page.classList.toggle("editing", isOpen);
    this.button.ariaPressed = String(isOpen);
  }

  /** The first segment of a transcript without text. */
  add() {
    this.open(true);
    this.root.focus();
    this.session.make(insert(1));
  }

  /** Resolves when all changes are stored, or one could not be. */
  settled() {
    this.session.flush();
    return this.session.queue.send();
  }

  retry() {
    if (this.titleEditor.problem) this.titleEditor.save();
    this.session.queue.send();
  }

  // --- Display ----------------------------------------------------------------------------------

  /** Shows whether everything is saved. */
  showState(isSaving = this.session.queue.isSending) {
    const problem = this.session.queue.problem || this.titleEditor.problem;
    this.wasEdited ||= this.isUnsaved;
    let state = this.wasEdited ? "saved" : "";
    if (this.isUnsaved) state = "editing";
    if (isSaving) state = "saving";
    if (problem) state = "notSaved";
    const message = state && text(this, state, { problem });
    if (this.status.textContent !== message) this.status.textContent = message;
    this.status.dataset.state = state;
    this.querySelector("[data-retry]").hidden = !problem;
    this.querySelector("[data-add]").hidden = segments.length > 0;
    this.querySelector("[data-discard]").hidden = !this.session.queue.isRefused;
  }

  /** Shows whether there is something to undo or redo. */
  showPossible({ undo, redo }) {
    this.querySelector("[data-undo]").disabled = !undo;
    this.querySelector("[data-redo]").disabled = !redo;
  }

  /** Names of speakers have changed: an object with all names by number. */
  nameSpeakers(names) {
    this.page.dispatchEvent(new CustomEvent("speakers-named", { detail: names }));
  }

  /** Asks which text to keep: resolves to "theirs" or "mine", or to "" if the user has not chosen. */
  ask(theirs, mine) {
    const dialog = this.querySelector("dialog");
    dialog.querySelector("[data-theirs]").textContent = theirs;
    dialog.querySelector("[data-mine]").textContent = mine;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
    });
  }
});
