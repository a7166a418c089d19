/** An upload to the server, as a form. `send` may be called again after an error. */
import { csrfToken } from "./requests.js";

export class FormUpload {
  /**
   * `onProgress` is called with the number of bytes that have been sent. If a response is lost and
   * the file is sent again, the server creates only one recording for the `key`.
   */
  constructor(file, options, onProgress, key) {
    Object.assign(this, { file, options, onProgress, key });
  }

  /** Resolves to status and body of the response; rejects if the connection was lost. */
  send() {
    const form = new FormData();
    for (const [name, value] of Object.entries(this.options)) form.append(name, value);
    form.append("file", this.file);
    const request = new XMLHttpRequest();
    Object.assign(this, { request, isSent: false });
    request.open("POST", "/api/transcriptions");
    request.setRequestHeader("X-CSRFToken", csrfToken());
    request.setRequestHeader("Idempotency-Key", this.key);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      this.onProgress((loaded / total) * this.file.size);
    });
    request.upload.addEventListener("load", () => { this.isSent = true; });
    return new Promise((done, fail) => {
      request.addEventListener("error", () => fail(new Error("the connection was lost")));
      request.addEventListener("load", () => done(request));
      request.send(form);
    });
  }

  /** Once all bytes are sent, the server makes a recording of them whether we wait for it or not. */
  abort() {
    if (!this.isSent) this.request?.abort();
  }
}
