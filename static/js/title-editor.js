/** The title of a transcript, edited in place: it is saved when it loses the focus. */
import { sendJson } from "./requests.js";
import { normalize, text } from "./text.js";

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
      heading.setAttribute("aria-label", text(this.host, "titleLabel"));
    } else {
      heading.removeAttribute("contenteditable");
      heading.removeAttribute("aria-label");
    }
  }

  keyPressed(event) {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === "Escape") this.heading.textContent = this.saved;
    this.heading.blur();
  }

  async save() {
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
    const { body, problem } = await sendJson(this.host, "PATCH", url, { title });
    this.problem = problem;
    if (!problem) {
      this.saved = body.title;
      if (heading !== document.activeElement) heading.textContent = body.title;
      document.title = `${body.title} · Transcodio`;
    }
    this.host.showState();
  }
}
