/** The title of a transcript, edited in place: it is saved when it loses the focus. */
import { sendJson } from "./requests.js";
import { isComposing, normalize, text } from "./text.js";

export class TitleEditor {
  /** `host` is the <transcript-editor>. */
  constructor(heading, host) {
    Object.assign(this, { heading, host });
    this.saved = normalize(heading.textContent);
    this.problem = "";
    heading.addEventListener("blur", () => this.save());
    heading.addEventListener("input", () => host.showState());
    heading.addEventListener("keydown", (event) => this.keyPressed(event));
  }

  get isUnsaved() {
    return normalize(this.heading.textContent) !== this.saved;
  }

  open(isOpen) {
    const { heading } = this;
    if (isOpen) {
      try {
        heading.contentEditable = "plaintext-only";
      } catch {
        heading.contentEditable = "true"; // older browsers; pasted content is read as text anyway
      }
      // Not a label, which would replace the title as the name of the heading.
      heading.setAttribute("aria-description", text(this.host, "titleLabel"));
    } else {
      heading.removeAttribute("contenteditable");
      heading.removeAttribute("aria-description");
    }
  }

  keyPressed(event) {
    if (isComposing(event) || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === "Escape") this.heading.textContent = this.saved;
    this.heading.blur();
  }

  /** Saves the title after a save that has not ended. */
  save() {
    this.saving = (this.saving ?? Promise.resolve()).then(() => this.saveNow());
    return this.saving;
  }

  async saveNow() {
    const { heading } = this;
    const title = normalize(heading.textContent);
    if (!title) heading.textContent = this.saved;
    if (!title || title === this.saved) {
      this.problem = "";
      this.host.showState();
      return;
    }
    this.host.showState(true);
    const url = `/api/transcriptions/${this.host.dataset.id}`;
    const change = { title, expected_title: this.saved };
    const { body, problem } = await sendJson(this.host, "PATCH", url, change);
    this.problem = problem;
    if (body?.code === "edit_conflict") await this.resolve(url, title);
    else if (!problem) {
      const isChanged = heading === document.activeElement || normalize(heading.textContent) !== title;
      if (!isChanged) heading.textContent = body.title;
      this.stored(body.title);
    }
    this.host.showState();
  }

  stored(title) {
    this.saved = normalize(title);
    document.title = `${title} · Transcodio`;
  }

  /** Someone else has changed the title: asks which one to keep. */
  async resolve(url, mine) {
    const { body, problem } = await sendJson(this.host, "GET", url);
    if (problem) return;
    const answer = await this.host.ask(body.title, mine);
    if (!answer) return; // it stays unsaved
    this.stored(body.title);
    if (answer === "theirs") this.heading.textContent = body.title;
    await this.saveNow();
  }
}
