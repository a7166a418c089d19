/**
 * One file in the upload box: it waits, is sent, and becomes a recording. If the connection is
 * lost, it is kept and sent later; a file that was `kept` is sent with the same key and options.
 */
import { DirectUpload } from "./direct-upload.js";
import { FormUpload } from "./form-upload.js";
import { newKey } from "./offline-store.js";
import { csrfToken, errorMessage } from "./requests.js";
import { text } from "./text.js";

const BYTES_PER_MB = 1024 * 1024;
// As are all 5xx: the same file may be accepted later.
const RETRYABLE_STATUSES = [401, 403, 404, 408, 409, 429];

export class Upload {
  constructor(file, row, box, kept = null) {
    Object.assign(this, { file, row, box, isDone: false, id: null, isKept: Boolean(kept) });
    this.key = kept?.id ?? newKey();
    this.options = kept?.options;
    if (kept) this.transport = this.newTransport(kept.sent);
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
    this.options ??= options;
    this.transport ??= this.newTransport(); // a retry sends the same request, or the missing parts
    this.show("sending", text(this.box, "uploading"), "cancel");
    const release = await this.box.queue.take(this);
    if (!release) return this.leave();
    if (this.isDone) return release(); // cancelled meanwhile
    try {
      await this.responded(await this.transport.send());
    } catch {
      if (!this.isDone) await this.keep();
    } finally {
      release();
    }
  }

  newTransport(sent) {
    const Transport = "direct" in this.box.dataset ? DirectUpload : FormUpload;
    return new Transport(this.file, this.options, (bytes) => this.progress(bytes), this.key, sent);
  }

  progress(bytes) {
    this.row.querySelector("progress").value = bytes / this.file.size;
    const size = (this.file.size / BYTES_PER_MB).toFixed(1);
    const sent = (bytes / BYTES_PER_MB).toFixed(1);
    const key = bytes < this.file.size ? "progress" : "processing";
    // Not each of the many numbers is read out.
    this.show("sending", text(this.box, key, { sent, total: size }), "cancel", key === "progress");
  }

  async responded({ status, response }) {
    if (this.isDone) return status === 202 && deleteRecording(response.id); // cancelled meanwhile
    if (status !== 202) {
      const canRetry = RETRYABLE_STATUSES.includes(status) || status >= 500;
      this.fail(errorMessage(status, response), canRetry);
      if (!canRetry) this.box.queue.forget(this);
      return;
    }
    this.box.queue.forget(this);
    this.id = response.id;
    const link = document.createElement("a");
    link.href = `/transcriptions/${this.id}/`;
    link.textContent = this.file.name;
    this.row.querySelector(".upload-name").replaceChildren(link);
    this.show("done", text(this.box, "uploaded"), "dismiss");
    this.finish();
  }

  /** The connection was lost. */
  async keep() {
    const isReadable = await this.file.slice(0, 1).arrayBuffer().then(() => true, () => false);
    if (!isReadable) return this.fail(text(this.box, "unreadable"));
    const isKept = await this.box.queue.keep(this);
    if (this.isDone) return this.box.queue.forget(this); // cancelled meanwhile
    if (!isKept) return this.fail(text(this.box, "notKept"), true);
    this.show("kept", text(this.box, "kept"), "cancel");
    this.status.setAttribute("role", "alert");
    this.retryButton.hidden = false;
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
    this.box.queue.forget(this);
    this.leave();
  }

  leave() {
    this.row.remove();
    this.finish();
  }

  finish() {
    this.isDone = true;
    this.box.next();
  }

  get phase() {
    return this.row.dataset.phase;
  }

  get status() {
    return this.row.querySelector(".upload-text");
  }

  show(phase, message, action, isQuiet = false) {
    this.row.dataset.phase = phase;
    this.status.setAttribute("role", isQuiet ? "presentation" : "status");
    this.status.textContent = message;
    this.retryButton.hidden = true;
    this.button.textContent = text(this.box, action);
  }
}

/** Even if the page is left. */
function deleteRecording(id) {
  const headers = { "X-CSRFToken": csrfToken() };
  return fetch(`/api/transcriptions/${id}`, { method: "DELETE", headers, keepalive: true }).catch(() => {});
}
