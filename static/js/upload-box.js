/**
 * <upload-box data-max-megabytes data-direct>: uploads by drag and drop or with the file picker,
 * two at a time, each with a progress bar; with `data-direct`, to an object storage. After a single
 * file the browser opens its transcript, after several the library. Files wait for a connection if
 * necessary.
 */
import { text } from "./text.js";
import { UploadOptions } from "./upload-options.js";
import { UploadQueue } from "./upload-queue.js";
import { Upload } from "./upload.js";

const MAX_CONCURRENT = 2;
const BYTES_PER_MB = 1024 * 1024;

customElements.define("upload-box", class extends HTMLElement {
  connectedCallback() {
    this.waiting = [];
    this.running = new Set();
    this.uploaded = new Set();
    this.addedCount = 0;
    this.list = this.querySelector(".uploads");
    this.options = new UploadOptions(this);
    this.queue = new UploadQueue();
    this.queue.restore().then((records) => this.restore(records));
    this.addEventListener("files-accepted", (event) => this.restore(event.detail));
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
      if ([...this.running, ...this.waiting].some(({ isKept }) => !isKept)) event.preventDefault();
    });
  }

  dragged(event, over) {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    this.classList.toggle("drag-over", over);
  }

  add(files) {
    if (!this.list.children.length) this.addedCount = 0; // dismissed files do not count
    for (const file of files) {
      this.addedCount += 1;
      this.start(new Upload(file, this.row(file.name), this));
    }
  }

  /** Sends files that this browser kept. */
  restore(records) {
    this.hasRestored ||= records.length > 0;
    for (const record of records) this.start(new Upload(record.file, this.row(record.file.name), this, record));
  }

  start(upload) {
    const problem = this.validate(upload.file);
    if (problem) upload.fail(problem);
    else upload.wait();
  }

  enqueue(upload) {
    this.waiting.push(upload);
    this.next();
  }

  row(name) {
    const row = this.querySelector(":scope > template").content.cloneNode(true).firstElementChild;
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

  /**
   * Shows the uploaded recordings, on the first page of the library instead of a search. The page
   * stays open if it shows a message about another file, or if it sent files that were not chosen on
   * it.
   */
  showUploaded() {
    const [id] = this.uploaded;
    if (this.hasRestored || this.list.querySelector("[data-phase=failed], [data-phase=kept]")) {
      history.replaceState(null, "", location.pathname);
      if (this.hasRestored) this.uploaded.clear();
      htmx.ajax("GET", location.pathname, { target: "#library", select: "#library", swap: "outerHTML" });
    } else if (this.addedCount === 1) {
      location.assign(`/transcriptions/${id}/`);
    } else {
      location.assign(location.pathname);
    }
  }
});

function holdsFiles(event) {
  return event.dataTransfer?.types.includes("Files");
}
