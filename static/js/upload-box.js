/**
 * <upload-box data-max-megabytes>: uploads by drag and drop or by the file picker, two at a time, each
 * with a progress bar. After a single file the browser opens its transcript, after several the library.
 */
import { csrfToken, errorMessage } from "./requests.js";
import { text } from "./text.js";

const MAX_CONCURRENT = 2;
const BYTES_PER_MB = 1024 * 1024;
const RETRYABLE_STATUSES = [401, 403, 408, 429]; // as are all 5xx: the same file may be accepted later

class Upload {
  constructor(file, row, box) {
    Object.assign(this, { file, row, box, isDone: false, id: null });
    // If a response is lost and the file is sent again, the server creates only one recording.
    this.key = [...crypto.getRandomValues(new Uint32Array(4))].join("-");
    [this.retryButton, this.button] = row.querySelectorAll("button");
    this.retryButton.addEventListener("click", () => this.wait());
    this.button.addEventListener("click", () => this.dismiss());
  }

  wait() {
    this.isDone = false;
    this.show("waiting", text(this.box, "waiting"), "cancel");
    this.box.enqueue(this);
  }

  send(language) {
    this.language ??= language; // a retry sends the same request
    const form = new FormData();
    form.append("language", this.language);
    form.append("file", this.file);
    this.request = new XMLHttpRequest();
    this.request.open("POST", "/api/transcriptions");
    this.request.setRequestHeader("X-CSRFToken", csrfToken());
    this.request.setRequestHeader("Idempotency-Key", this.key);
    this.request.responseType = "json";
    this.request.upload.addEventListener("progress", (event) => this.progress(event));
    this.request.addEventListener("load", () => this.responded());
    this.request.addEventListener("error", () => this.fail(text(this.box, "connectionLost"), true));
    this.request.send(form);
    this.show("sending", text(this.box, "uploading"), "cancel");
  }

  progress({ loaded, total }) {
    this.row.querySelector("progress").value = loaded / total;
    const size = (this.file.size / BYTES_PER_MB).toFixed(1);
    const sent = Math.min(loaded / BYTES_PER_MB, size).toFixed(1);
    const key = loaded < total ? "progress" : "processing";
    this.show("sending", text(this.box, key, { sent, total: size }), "cancel");
  }

  responded() {
    const { status, response } = this.request;
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
    this.request?.abort();
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
      upload.send(this.querySelector("[name=language]").value);
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
