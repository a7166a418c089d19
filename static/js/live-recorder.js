/**
 * <live-recorder data-state>: records speech, and shows the words while they are spoken. Its state
 * is idle, recording, paused, finishing or over.
 */
import { formatDuration } from "./duration.js";
import { interrupted } from "./kept-recordings.js";
import { LiveRecording } from "./live-recording.js";
import { RecordOptions } from "./record-options.js";
import { text } from "./text.js";
import { keepAwake } from "./wake-lock.js";

const MIN_KEPT_S = 10; // of a recording that the server refuses; shorter ones are discarded

customElements.define("live-recorder", class extends HTMLElement {
  connectedCallback() {
    this.sound = this.querySelector("sound-source");
    this.words = this.querySelector("recorded-text");
    this.form = this.querySelector("form");
    this.options = new RecordOptions(this.form, this);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.start();
    });
    this.on("pause", () => this.pause());
    this.on("resume", () => this.resume());
    this.on("stop", () => this.finish());
    this.addEventListener("continue-recording", ({ detail }) => this.start(detail));
    addEventListener("offline", () => this.showConnection());
    addEventListener("online", () => this.showConnection());
    addEventListener("beforeunload", (event) => {
      if (["recording", "paused", "finishing"].includes(this.dataset.state)) event.preventDefault();
    });
    this.openFromLibrary();
  }

  on(name, action) {
    this.querySelector(`[data-${name}]`).addEventListener("click", action);
  }

  /**
   * The library links here to continue a recording. It starts with a click, as browsers require.
   */
  async openFromLibrary() {
    const id = location.hash.match(/^#continue-(.+)$/)?.[1];
    const record = id && (await interrupted()).find((each) => each.id === id);
    if (record) this.querySelector(`[data-recording="${record.id}"] [data-continue]`)?.focus();
  }

  // --- From start to end ----------------------------------------------------------------------

  async start(record = this.options.values) {
    if (this.isStarting || this.dataset.state !== "idle") return;
    this.isStarting = true;
    const capture = await this.sound.open();
    if (capture) {
      if (await this.open(record)) this.take(capture);
      else this.sound.close();
    }
    this.isStarting = false;
  }

  async open(record) {
    this.recording = new LiveRecording(record, {
      changed: () => this.showConnection(),
      event: (event) => this.words.show(event),
      ended: (message) => this.ended(message),
      refused: (message) => this.refused(message),
      finished: (url) => this.finished(url),
    });
    if (!await this.recording.start()) {
      this.showProblem(text(this, "elsewhere"));
      return false;
    }
    this.querySelector("[data-title]").textContent = record.title;
    this.showProblem("");
    return true;
  }

  /** Records this sound from now on. */
  take(capture) {
    capture.received = (data, peak) => this.heard(data, peak);
    capture.interrupted = () => {
      this.pause();
      this.sound.lost();
    };
    this.show("recording");
  }

  heard(data, peak) {
    this.sound.measure(peak);
    if (!["recording", "pausing"].includes(this.dataset.state)) return;
    this.recording.add(data);
    this.showTime();
    if (!this.recording.audio.isFull) return;
    this.pause();
    this.showProblem(text(this, "full"));
  }

  async pause() {
    if (this.dataset.state !== "recording") return;
    this.show("pausing");
    await this.sound.capture?.pause();
    this.sound.showLevel(0);
    await this.recording.commit();
    if (this.dataset.state === "pausing") this.show("paused");
  }

  async resume() {
    const capture = await this.sound.open();
    if (!capture || this.dataset.state !== "paused") return;
    await capture.resume();
    this.showProblem("");
    this.take(capture);
  }

  async finish() {
    await this.pause();
    this.show("finishing");
    this.sound.close();
    await this.recording.end();
  }

  // --- Messages of the server -----------------------------------------------------------------

  /** The server accepts no more audio: on request, or for a reason that it states. */
  ended({ reason, detail, code }) {
    this.sound.close();
    if (reason !== "stopped") this.showProblem(code === "taken_over" ? text(this, "elsewhere") : detail);
    this.show(code ? "over" : "finishing");
    this.link(this.recording.record.url);
  }

  /** The server may accept the audio later, so it is kept, unless the recording has just begun. */
  async refused({ code, detail }) {
    this.wasRefused = true;
    this.showProblem(code === "not_authenticated" ? text(document.body, "signedOut") : detail);
    if (this.recording.record.session || this.recording.seconds > MIN_KEPT_S) return;
    this.show("idle");
    this.sound.close();
    this.recording.stop();
    await this.recording.forget();
  }

  finished(url) {
    const hasProblem = !this.problem.hidden;
    this.show("over");
    this.link(url);
    if (!url) this.showProblem(text(this, "nothing"));
    else if (!hasProblem) location.assign(url);
  }

  link(url) {
    const link = this.querySelector("[data-open]");
    link.hidden = !url;
    if (url) link.href = url;
  }

  // --- Display --------------------------------------------------------------------------------

  show(state) {
    this.dataset.state = state;
    keepAwake(state === "recording");
    this.querySelector("[data-state-name]").textContent = text(this, state);
    this.showTime();
    this.showConnection();
    this.dispatchEvent(new CustomEvent("recorder-changed"));
  }

  showTime() {
    this.querySelector("[data-time]").textContent = formatDuration(this.recording?.seconds ?? 0);
  }

  showConnection() {
    const isAway = this.recording && !this.recording.socket && !["idle", "over"].includes(this.dataset.state);
    const { hasConnected } = this;
    this.hasConnected ||= Boolean(this.recording?.socket);
    if (this.recording?.socket && this.wasRefused) this.showProblem("");
    this.wasRefused &&= isAway;
    const note = this.querySelector("#connection-note");
    note.hidden = !isAway || (navigator.onLine && !hasConnected);
    const isUnstored = this.recording?.audio.isUnstored;
    const usual = this.dataset.state === "finishing" ? "offlineFinishing" : "offline";
    note.textContent = text(this, isUnstored ? "offlineUnstored" : usual);
    const id = this.recording?.record.session;
    if (id) this.querySelector("share-captions").dataset.id = id;
  }

  get problem() {
    return this.querySelector("#recorder-problem");
  }

  showProblem(message) {
    Object.assign(this.problem, { textContent: message, hidden: !message });
  }
});
