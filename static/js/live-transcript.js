/**
 * <live-transcript data-id data-duration [data-finished] [data-live]>: follows a transcription and
 * adds its segments as they are recognized. At the end, it fetches the times of the words.
 */
import { formatDuration } from "./duration.js";
import { keepEndInView } from "./keep-end-in-view.js";
import { languageName } from "./language-name.js";
import { LiveConnection } from "./live-connection.js";
import { loadTimes } from "./load-times.js";
import { showPartial } from "./partial-text.js";
import { text } from "./text.js";
import { append, segments } from "./transcript-text.js";

const STATE_POLL_MS = 1500; // until the first event: earlier changes of state are not sent as events

customElements.define("live-transcript", class extends HTMLElement {
  connectedCallback() {
    this.list = this.querySelector("#segments");
    this.partialText = this.querySelector("#partial");
    this.lastEventId = segments.at(-1)?.id ?? -1;
    this.duration = Number(this.dataset.duration ?? 0);
    // After the first paint: the text can be read without them.
    if (segments.length) requestAnimationFrame(() => setTimeout(loadTimes));
    if (this.hasAttribute("data-finished")) return;
    this.showPosition();
    this.connection = new LiveConnection({
      path: () => `/ws/transcriptions/${this.dataset.id}/?after=${this.lastEventId}`,
      opened: () => this.showProgressText(""),
      received: (event) => this.handle(event),
      lost: () => this.showProgressText(text(this, "reconnecting")),
      notFound: () => this.showDeleted(text(this, "notFound")),
    });
    if (this.lastEventId < 0 && !this.isLive) this.polling = setInterval(() => this.pollState(), STATE_POLL_MS);
  }

  disconnectedCallback() {
    this.stop();
    this.connection?.close();
  }

  stop() {
    this.stopped = true;
    this.connection?.stop();
    this.list.removeAttribute("aria-live"); // later corrections are not read out
    clearInterval(this.polling);
    this.removeWaiting();
  }

  async pollState() {
    const response = await fetch(`/api/transcriptions/${this.dataset.id}`).catch(() => null);
    if (!response?.ok) return;
    const { state } = await response.json();
    if (this.lastEventId < 0 && !this.stopped) this.showState(state);
  }

  get isLive() {
    return "live" in this.dataset;
  }

  // --- Events ---------------------------------------------------------------------------------

  handle(event) {
    if (["partial", "speakers"].includes(event.type)) { // about earlier segments
      this[event.type](event);
      return;
    }
    if (event.id <= this.lastEventId) return;
    this.lastEventId = event.id;
    this.partialText.textContent = "";
    clearInterval(this.polling);
    this[event.type]?.(event);
  }

  metadata(event) {
    this.duration = event.duration;
    this.list.lang = event.language;
    this.querySelector("#language").textContent = languageName(event.language);
    this.showState("transcribing");
    this.showPosition();
    this.notifyPlayer();
  }

  progress({ segment }) {
    const scrollToEnd = keepEndInView(this, text(this, "newText"));
    this.removeWaiting();
    append(segment).element.classList.add("new-segment");
    this.showState("transcribing");
    this.showPosition();
    scrollToEnd();
  }

  partial(event) {
    const scrollToEnd = keepEndInView(this, text(this, "newText"));
    if (this.isLive) this.removeWaiting();
    showPartial(this.partialText, event);
    scrollToEnd();
  }

  /** The speakers of shown segments have changed. */
  speakers(event) {
    this.dispatchEvent(new CustomEvent("speakers-changed", { detail: event }));
  }

  complete(event) {
    this.stop();
    if ("reload" in this.dataset) location.reload(); // earlier edits have been carried over
    this.showState("completed");
    this.querySelector("#cancel")?.remove();
    this.querySelector("#progress")?.remove();
    this.showProgressText("");
    this.querySelector("#duration").textContent = formatDuration(event.duration);
    const note = this.querySelector("#note");
    Object.assign(note, { textContent: event.note, hidden: !event.note });
    for (const tool of this.querySelectorAll("[data-tool], [data-completed]")) tool.hidden = false;
    this.finished();
    this.notifyPlayer();
  }

  /** The text can be edited from now on. */
  finished() {
    this.dataset.finished = "";
    this.dispatchEvent(new CustomEvent("transcript-finished"));
  }

  error(event) {
    if (event.code === "deleted") this.showDeleted(event.detail);
    else if (this.isLive) location.reload(); // to show the audio so far
    else this.fail(event.detail, event.code === "cancelled" ? "cancelled" : "failed");
  }

  fail(message, state = "failed") {
    this.stop();
    if (state !== "deleted") this.finished();
    this.showState(state);
    for (const name of ["#cancel", "share-captions"]) this.querySelector(name)?.remove();
    const retry = this.querySelector("#retry");
    retry.hidden = false;
    const isEmpty = !segments.length; // otherwise the recognized part can be used
    for (const tool of this.querySelectorAll("[data-tool]")) tool.hidden = isEmpty;
    if (state === "cancelled") retry.querySelector("button").textContent = text(this, "resume");
    this.querySelector("#progress")?.remove();
    this.showProgressText("");
    this.showMessage(message, state === "cancelled");
  }

  /** Shows that the recording was deleted, without any actions. */
  showDeleted(message) {
    this.fail(message, "deleted");
    this.querySelector("transcript-bar").remove();
  }

  // --- Display --------------------------------------------------------------------------------

  showState(state) {
    const status = this.querySelector("#status");
    if (status.dataset.state === state || (this.isLive && state === "transcribing")) return; // see <live-state>
    status.dataset.state = state;
    status.textContent = text(this, state) || state;
  }

  /** Shows why it ended: what the user chose is no problem. */
  showMessage(message, isChosen) {
    const element = document.createElement("p");
    element.className = isChosen ? "message" : "alert";
    element.setAttribute("role", isChosen ? "status" : "alert");
    this.querySelector(".metadata").before(element);
    element.textContent = message;
  }

  removeWaiting() {
    this.querySelector("#waiting")?.remove();
  }

  showPosition() {
    const bar = this.querySelector("#progress");
    const done = segments.at(-1)?.end ?? 0;
    if (!bar || !this.duration || !done) return;
    bar.max = this.duration;
    bar.value = Math.min(done, this.duration);
    const values = { time: formatDuration(done), duration: formatDuration(this.duration) };
    this.showProgressText(text(this, "position", values));
  }

  showProgressText(message) {
    this.querySelector("#position").textContent = message;
    if (!message && !this.stopped) this.showPosition();
  }

  /** Tells the player that audio or its duration may now be available. */
  notifyPlayer() {
    this.dispatchEvent(new CustomEvent("transcript-started", { bubbles: true }));
  }
});
