/**
 * <upload-box data-max-megabytes>: recordings by drag and drop or by the picker. Two files travel at
 * a time, each with its own bar; one file leads to its transcript, several stay in the library.
 */
import { csrfToken, refusal } from "./request.js";

const AT_ONCE = 2;
const MEGABYTE = 1024 * 1024;
const LOST = "The connection was lost. Check your network and try again.";
const PASSING = [401, 403, 408, 429]; // what may go well later, with the same file

class Upload {
  constructor(file, row, box) {
    Object.assign(this, { file, row, box, isOver: false, id: null });
    // Whatever arrives twice, because an answer was lost on its way, is taken once.
    this.key = [...crypto.getRandomValues(new Uint32Array(4))].join("-");
    [this.again, this.button] = row.querySelectorAll("button");
    this.again.addEventListener("click", () => this.wait());
    this.button.addEventListener("click", () => this.dismiss());
  }

  wait() {
    this.isOver = false;
    this.show("waiting", "Waiting", "Cancel");
    this.box.enqueue(this);
  }

  send(language) {
    this.language ??= language; // the same request, whenever it is made
    const form = new FormData();
    form.append("language", this.language);
    form.append("file", this.file);
    this.request = new XMLHttpRequest();
    this.request.open("POST", "/api/transcriptions");
    this.request.setRequestHeader("X-CSRFToken", csrfToken());
    this.request.setRequestHeader("Idempotency-Key", this.key);
    this.request.responseType = "json";
    this.request.upload.addEventListener("progress", (event) => this.progress(event));
    this.request.addEventListener("load", () => this.answered());
    this.request.addEventListener("error", () => this.fail(LOST, true));
    this.request.send(form);
    this.show("sending", "Uploading", "Cancel");
  }

  progress({ loaded, total }) {
    this.row.querySelector("progress").value = loaded / total;
    const whole = (this.file.size / MEGABYTE).toFixed(1);
    const sent = Math.min(loaded / MEGABYTE, whole).toFixed(1);
    this.show("sending", loaded < total ? `${sent} of ${whole} MB` : "Almost there", "Cancel");
  }

  answered() {
    const { status, response } = this.request;
    if (status !== 202) {
      this.fail(refusal(status, response), PASSING.includes(status) || status >= 500);
      return;
    }
    this.id = response.id;
    const link = document.createElement("a");
    link.href = `/transcriptions/${this.id}/`;
    link.textContent = this.file.name;
    this.row.querySelector(".upload-name").replaceChildren(link);
    this.show("done", "Uploaded", "Dismiss");
    this.end();
  }

  fail(sentence, isPassing = false) {
    this.show("failed", sentence, "Dismiss");
    this.text.setAttribute("role", "alert");
    this.again.hidden = !isPassing;
    this.end();
  }

  dismiss() {
    this.request?.abort();
    this.row.remove();
    this.end();
  }

  end() {
    this.isOver = true;
    this.box.next();
  }

  get text() {
    return this.row.querySelector(".upload-text");
  }

  show(phase, text, action) {
    this.row.dataset.phase = phase;
    this.text.setAttribute("role", "status");
    this.text.textContent = text;
    this.again.hidden = true;
    this.button.textContent = action;
  }
}

customElements.define("upload-box", class extends HTMLElement {
  connectedCallback() {
    this.waiting = [];
    this.running = new Set();
    this.taken = new Set();
    this.added = 0;
    this.list = this.querySelector(".uploads");
    const input = this.querySelector("input[type=file]");
    const chosen = () => {
      this.add(input.files);
      input.value = ""; // so that the same file can be chosen again
    };
    input.addEventListener("change", chosen);
    if (input.files.length) chosen(); // somebody was quicker than this script
    // The whole page is a target: a file dropped beside the box would replace the page otherwise.
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
    this.classList.toggle("over", over);
  }

  add(files) {
    if (!this.list.children.length) this.added = 0; // what was dismissed leads nowhere
    this.list.hidden = false;
    for (const file of files) {
      this.added += 1;
      const upload = new Upload(file, this.row(file.name), this);
      const problem = this.problem(file);
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

  /** The server's own sentences, said before a long upload instead of after it. */
  problem(file) {
    const limit = Number(this.dataset.maxMegabytes);
    if (!file.size) return "The file is empty. Choose a recording with sound.";
    if (file.size <= limit * MEGABYTE) return "";
    return `The file is larger than ${limit} MB. ` +
      "Compress it (MP3 or Opus at 64 kbit/s is plenty for speech) or split it.";
  }

  next() {
    for (const upload of this.running) {
      if (upload.isOver) this.running.delete(upload);
      if (upload.id) this.taken.add(upload.id);
    }
    this.waiting = this.waiting.filter((upload) => !upload.isOver);
    while (this.running.size < AT_ONCE && this.waiting.length) {
      const upload = this.waiting.shift();
      this.running.add(upload);
      upload.send(this.querySelector("[name=language]").value);
    }
    if (!this.running.size && this.taken.size) this.leave();
    this.list.hidden = !this.list.children.length;
  }

  /** All files have arrived. What was refused must stay readable, so then the page stays too. */
  leave() {
    const [id] = this.taken;
    if (this.list.querySelector("[data-phase=failed]")) {
      htmx.ajax("GET", location.href, { target: "#library", select: "#library", swap: "outerHTML" });
    } else if (this.added === 1) {
      location.assign(`/transcriptions/${id}/`);
    } else {
      location.reload();
    }
  }
});

function holdsFiles(event) {
  return event.dataTransfer?.types.includes("Files");
}
