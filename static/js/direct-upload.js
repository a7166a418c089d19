/**
 * An upload that goes to the object storage in parts, with URLs that the server signs. A part that
 * fails is sent again, and `send` after an error continues with the parts that are missing, even on
 * a later page.
 */
import { csrfToken } from "./requests.js";

const ATTEMPTS = 4; // of each part
const FIRST_DELAY_MS = 1000; // before the second attempt; then twice as long each time

/** A response of the server that ends the upload. */
class Refused extends Error {
  constructor(status, response) {
    super(`status ${status}`);
    Object.assign(this, { status, response });
  }
}

export class DirectUpload {
  /**
   * `onProgress` is called with the number of bytes that have been sent. `sent` is the property of
   * that name from an earlier page.
   */
  constructor(file, options, onProgress, key, sent) {
    Object.assign(this, { file, options, onProgress, next: 1, isAborted: false, isContinued: Boolean(sent) }, sent);
    this.leave = () => this.forget();
  }

  /** Resolves to status and body of the last response; rejects if the connection was lost. */
  async send() {
    addEventListener("pagehide", this.leave);
    try {
      this.upload ??= await this.start();
      for (; this.next <= this.upload.parts; this.next += 1) await this.sendPart(this.next);
      this.isCompleting = true;
      const response = await this.call("POST", `/${this.upload.id}/complete`);
      this.upload = null; // it has become a recording
      return { status: 202, response };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if ([404, 409].includes(error.status)) {
        this.restart(); // it has expired, or a part is missing
        if (this.isContinued) {
          this.isContinued = false;
          return await this.send();
        }
      }
      return { status: error.status, response: error.response };
    } finally {
      this.isCompleting = false;
      removeEventListener("pagehide", this.leave);
    }
  }

  /** What a later page needs to continue; null before the first part. */
  get sent() {
    return this.upload && { upload: this.upload, next: this.next };
  }

  abort() {
    this.isAborted = true;
    this.request?.abort();
    this.forget();
  }

  /** Deletes what was sent, unless it becomes a recording already. The request outlives the page. */
  forget() {
    if (this.upload && !this.isCompleting) this.call("DELETE", `/${this.upload.id}`, undefined, true).catch(() => {});
    this.restart();
  }

  restart() {
    this.upload = null;
    this.next = 1;
  }

  start() {
    const { name, size } = this.file;
    return this.call("POST", "", { name: name.slice(0, 1000), size, ...this.options });
  }

  async sendPart(number) {
    for (let attempt = 1; ; attempt += 1) {
      if (this.isAborted) this.forget(); // cancelled before it had an id
      if (this.isAborted || attempt > ATTEMPTS) throw new Error("the part was not sent");
      const { url, start, bytes } = await this.call("POST", `/${this.upload.id}/parts/${number}`);
      if (await this.put(url, start, bytes)) return;
      await new Promise((done) => setTimeout(done, FIRST_DELAY_MS * 2 ** (attempt - 1)));
    }
  }

  /** Sends a part. Resolves to whether the storage has accepted it. */
  put(url, start, bytes) {
    return new Promise((done) => {
      const request = new XMLHttpRequest(); // fetch reports no progress
      this.request = request;
      request.open("PUT", url);
      request.upload.addEventListener("progress", ({ loaded }) => this.onProgress(start + loaded));
      request.addEventListener("loadend", () => done(request.status === 200));
      request.send(this.file.slice(start, start + bytes));
    });
  }

  async call(method, path, body, keepalive = false) {
    const response = await fetch(`/api/uploads${path}`, {
      method,
      keepalive,
      headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
      body: body && JSON.stringify(body),
    });
    const content = response.status === 204 ? null : await response.json().catch(() => null);
    if (!response.ok) throw new Refused(response.status, content);
    return content;
  }
}
