/**
 * <interrupted-recordings data-record-url>: recordings whose page was closed before the server had
 * all of them. They can be continued or finished; in both cases the server gets the missing audio.
 */
import { dateAndTime } from "./dates.js";
import { forget, interrupted } from "./kept-recordings.js";
import { LiveRecording } from "./live-recording.js";
import { text } from "./text.js";

customElements.define("interrupted-recordings", class extends HTMLElement {
  async connectedCallback() {
    for (const record of await interrupted()) this.add(record);
  }

  add(record) {
    const row = this.querySelector("template").content.cloneNode(true).firstElementChild;
    row.dataset.recording = record.id;
    const values = { title: record.title, time: dateAndTime.format(record.startedAt) };
    row.querySelector("[data-about]").textContent = text(this, "about", values);
    const on = (name, action) => row.querySelector(`[data-${name}]`).addEventListener("click", action);
    on("continue", () => this.continue(row, record));
    on("finish", () => this.finish(row, record));
    on("discard", () => this.discard(row, record));
    this.append(row);
    if (record.isEnding) this.finish(row, record); // the user had pressed Stop
  }

  continue(row, record) {
    const recorder = this.closest("live-recorder");
    if (!recorder) {
      location.assign(`${this.dataset.recordUrl}#continue-${record.id}`);
      return;
    }
    row.remove();
    recorder.dispatchEvent(new CustomEvent("continue-recording", { detail: record }));
  }

  async finish(row, record) {
    for (const button of row.querySelectorAll("button")) button.hidden = true;
    const show = (message) => { row.querySelector("[role=status]").textContent = message; };
    show(text(this, "sending"));
    const recording = new LiveRecording(record, {
      changed: () => show(text(this, recording.socket ? "sending" : "waiting")),
      event: () => {},
      ended: ({ code, detail }) => show(code === "not_found" ? detail : text(this, "recognizing")),
      refused: ({ detail }) => {
        show(detail);
        row.querySelector("[data-discard]").hidden = false;
      },
      finished: (url) => this.finished(row, url),
    });
    this.recordings = { ...this.recordings, [record.id]: recording };
    if (await recording.start()) await recording.end();
    else row.remove(); // another page is working on it
  }

  finished(row, url) {
    const link = row.querySelector("a");
    link.hidden = !url;
    if (url) link.href = url;
    row.querySelector("[role=status]").textContent = text(this, url ? "finished" : "nothing");
    row.querySelector("[data-discard]").hidden = true;
  }

  async discard(row, record) {
    this.recordings?.[record.id]?.stop();
    await forget(record.id);
    row.remove();
  }
});
