/**
 * <export-dialog data-id>: a dialog with the options of an export, which downloads or copies the
 * file. For a subtitle format, the <subtitle-preview> inside shows the subtitles.
 */
import {
  chosenFormat, chosenOptions, rememberChoice, requestFile, restoreChoice, saveFile, showUsedOptions,
} from "./export-options.js";
import { showSegment } from "./show-segment.js";
import { text } from "./text.js";
import { segments } from "./transcript-text.js";

customElements.define("export-dialog", class extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    this.form = this.dialog.querySelector("form");
    this.status = this.querySelector(".export-footer [role=status]");
    this.problem = this.querySelector("[role=alert]");
    this.preview = this.querySelector("subtitle-preview");
    this.querySelector("[data-open]").addEventListener("click", () => this.open());
    this.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
    this.querySelector("[data-copy]").addEventListener("click", () => this.copy());
    this.dialog.addEventListener("close", () => this.preview.stop());
    this.form.addEventListener("input", () => this.changed());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.download();
    });
    // An invalid field must be visible.
    this.form.addEventListener("invalid", () => { this.querySelector("details").open = true; }, true);
    this.addEventListener("subtitle-chosen", (event) => this.leadTo(event.detail));
  }

  open() {
    restoreChoice(this.form);
    this.dialog.showModal();
    this.changed();
  }

  changed() {
    this.show("", "");
    showUsedOptions(this.form);
    const format = chosenFormat(this.form);
    this.querySelector("[data-copy]").hidden = !("isText" in format.dataset);
    const isPreviewed = format.dataset.group === "subtitles";
    this.preview.hidden = !isPreviewed;
    this.dialog.classList.toggle("with-preview", isPreviewed);
    if (isPreviewed && this.form.matches(":valid")) this.preview.update(chosenOptions(this.form));
  }

  async download() {
    await this.run(async () => {
      const file = await this.request();
      saveFile(file);
      this.show(text(this, "downloaded", file), "");
    });
  }

  async copy() {
    if (!this.form.reportValidity()) return;
    await this.run(async () => {
      const content = this.request().then((file) => file.content.text());
      const isCopied = await copyText(content, this.form);
      this.show(isCopied ? text(this, "copied") : "", isCopied ? "" : text(this, "notCopied"));
    });
  }

  request() {
    const options = new URLSearchParams(chosenOptions(this.form));
    return requestFile(this, `/api/transcriptions/${this.dataset.id}/export?${options}`);
  }

  /** Runs an action whose error is shown. A second click meanwhile does nothing. */
  async run(action) {
    if (this.isBusy) return;
    this.isBusy = true;
    rememberChoice(this.form);
    this.show(text(this, "working"), "");
    try {
      await action();
    } catch (error) {
      this.show("", error.message);
    }
    this.isBusy = false;
  }

  show(message, problem) {
    this.status.textContent = message;
    this.problem.textContent = problem;
  }

  /** Closes the dialog and shows a segment of the transcript. */
  leadTo({ segment, time }) {
    this.dialog.close();
    const found = segments[segment - 1];
    if (!found) return;
    const paragraph = found.element.closest(".paragraph");
    if (paragraph.hidden) document.querySelector("transcript-speakers").showOnly(null);
    document.querySelector("transcript-player")?.seek(Math.max(time, found.start));
    showSegment(found);
    paragraph.querySelector(".timestamp").focus({ preventScroll: true });
  }
});

/** Copies a promised text: Safari would no longer allow it once the text has arrived. */
async function copyText(content, container) {
  const blob = content.then((value) => new Blob([value], { type: "text/plain" }));
  blob.catch(() => {}); // reported below
  try {
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    return true;
  } catch { // no permission, or not a secure context: plain HTTP in a local network
    return copySelection(await content, container);
  }
}

function copySelection(value, container) {
  const field = document.createElement("textarea");
  field.className = "visually-hidden";
  field.value = value;
  const focused = document.activeElement;
  container.append(field); // the rest of the page cannot have the focus while a dialog is open
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  focused.focus();
  return isCopied;
}
