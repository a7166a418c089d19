/**
 * <upload-box data-max-megabytes data-direct>: uploads by drag and drop or by the file picker, two at
 * a time, each with a progress bar; with `data-direct` to an object storage. After a single file the
 * browser opens its transcript, after several the library.
 */
import { DirectUpload } from "./direct-upload.js";
import { FormUpload } from "./form-upload.js";
import { errorMessage } from "./requests.js";
import { text } from "./text.js";
import { UploadOptions } from "./upload-options.js";

const MAX_CONCURRENT = 2;
const BYTES_PER_MB = 1024 * 1024;
// As are all 5xx: the same file may be accepted later.
const RETRYABLE_STATUSES = [401, 403, 404, 408, 409, 429];

class Upload {
  constructor(file, row, box) {
    Object.assign(this, { file, row, box, isDone: false, id: null });
    [this.retryButton, this.button] = row.querySelectorAll("button");
    this.retryButton.addEventListener("click", () => this.wait());
    this.button.addEventListener("click", () => this.dismiss());
  }

  wait() {
    this.isDone = false;
    this.show("waiting", text(this.box, "waiting"), "cancel");
    this.box.enqueue(this);
  }

  async send(options) {
    const Transport = "direct" in this.box.dataset ? DirectUpload : FormUpload;
    // A retry sends the same request, or what is missing.
    this.transport ??= new Transport(this.file, options, (bytes) => this.progress(bytes));
    this.show("sending", text(this.box, "uploading"), "cancel");
    try {
      this.responded(await this.transport.send());
    } catch {
      if (!this.isDone) this.fail(text(this.box, "connectionLost"), true);
    }
  }

  progress(bytes) {
    this.row.querySelector("progress").value = bytes / this.file.size;
    const size = (this.file.size / BYTES_PER_MB).toFixed(1);
    const sent = (bytes / BYTES_PER_MB).toFixed(1);
    const key = bytes < this.file.size ? "progress" : "processing";
    this.show("sending", text(this.box, key, { sent, total: size }), "cancel");
  }

  responded({ status, response }) {
    if (this.isDone) return; // cancelled meanwhile
    if (status !== 202) {
      this.fail(errorMessage(status, response), RETRYABLE_STATUSES.includes(status) || status >= 500);
      return;
    }
    this.id = response.id;
    const link = document.createElement("a");
    link.href = `/transcriptions/${this.id}/`;
    link.textContent = this.file.name;
    this.row.querySelector(".upload-name").replaceChildren(link);
    this.show("done", text(this.box, "uploaded"), "dismiss");
    this.finish();
  }

  fail(message, canRetry = false) {
    this.show("failed", message, "dismiss");
    this.status.setAttribute("role", "alert");
    this.retryButton.hidden = !canRetry;
    this.finish();
  }

  dismiss() {
    this.transport?.abort();
    this.row.remove();
    this.finish();
  }

  finish() {
    this.isDone = true;
    this.box.next();
  }

  get status() {
    return this.row.querySelector(".upload-text");
  }

  show(phase, message, action) {
    this.row.dataset.phase = phase;
    this.status.setAttribute("role", "status");
    this.status.textContent = message;
    this.retryButton.hidden = true;
    this.button.textContent = text(this.box, action);
  }
}

customElements.define("upload-box", class extends HTMLElement {
  connectedCallback() {
    this.waiting = [];
    this.running = new Set();
    this.uploaded = new Set();
    this.addedCount = 0;
    this.list = this.querySelector(".uploads");
    this.options = new UploadOptions(this);
    const input = this.querySelector("input[type=file]");
    const chosen = () => {
      this.add(input.files);
      input.value = ""; // so that the same file can be chosen again
    };
    input.addEventListener("change", chosen);
    if (input.files.length) chosen(); // chosen before this script was loaded
    // The whole page accepts files: otherwise a file dropped outside the box would replace the page.
    window.addEventListener("dragover", (event) => this.dragged(event, true));
    window.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) this.dragged(event, false);
    });
    window.addEventListener("drop", (event) => {
      if (!holdsFiles(event)) return;
      this.dragged(event, false);
      this.add(event.dataTransfer.files);
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.running.size + this.waiting.length) event.preventDefault();
    });
  }

  dragged(event, over) {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    this.classList.toggle("drag-over", over);
  }

  add(files) {
    if (!this.list.children.length) this.addedCount = 0; // dismissed files do not count
    this.list.hidden = false;
    for (const file of files) {
      this.addedCount += 1;
      const upload = new Upload(file, this.row(file.name), this);
      const problem = this.validate(file);
      if (problem) upload.fail(problem);
      else upload.wait();
    }
  }

  enqueue(upload) {
    this.waiting.push(upload);
    this.next();
  }

  row(name) {
    const row = this.querySelector("template").content.cloneNode(true).firstElementChild;
    row.querySelector(".upload-name").textContent = name;
    this.list.append(row);
    return row;
  }

  /** The reason why the server would refuse the file, found before a long upload; empty if none. */
  validate(file) {
    if (!file.size) return text(this, "empty");
    const isTooLarge = file.size > Number(this.dataset.maxMegabytes) * BYTES_PER_MB;
    return isTooLarge ? text(this, "tooLarge") : "";
  }

  next() {
    for (const upload of this.running) {
      if (upload.isDone) this.running.delete(upload);
      if (upload.id) this.uploaded.add(upload.id);
    }
    this.waiting = this.waiting.filter((upload) => !upload.isDone);
    while (this.running.size < MAX_CONCURRENT && this.waiting.length) {
      const upload = this.waiting.shift();
      this.running.add(upload);
      upload.send(this.options.values);
    }
    if (!this.running.size && this.uploaded.size) this.showUploaded();
    this.list.hidden = !this.list.children.length;
  }

  /** Shows the uploaded recordings. If an upload failed, the page stays, with its message. */
  showUploaded() {
    const [id] = this.uploaded;
    if (this.list.querySelector("[data-phase=failed]")) {
      htmx.ajax("GET", location.href, { target: "#library", select: "#library", swap: "outerHTML" });
    } else if (this.addedCount === 1) {
      location.assign(`/transcriptions/${id}/`);
    } else {
      location.reload();
    }
  }
});

function holdsFiles(event) {
  return event.dataTransfer?.types.includes("Files");
}
