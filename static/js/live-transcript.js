/**
 * <live-transcript data-id data-duration [data-finished]>: follows a transcription over a WebSocket
 * and adds its segments as they are recognized. Event ids have no gaps (0 metadata, n the n-th
 * segment), so after a lost connection it asks for the events after the last one it has.
 */
import { formatDuration } from "./duration.js";
import { keepEndInView } from "./keep-end-in-view.js";
import { languageName } from "./language-name.js";
import { text } from "./text.js";

const FIRST_RETRY_MS = 500, MAX_RETRY_MS = 10_000; // between attempts to connect
const STATE_POLL_MS = 1500; // until the first event: earlier changes of state are not sent as events
const NOT_FOUND = 4404;

customElements.define("live-transcript", class extends HTMLElement {
  connectedCallback() {
    this.list = this.querySelector("#segments");
    this.partialText = this.querySelector("#partial");
    this.template = this.querySelector(":scope > template");
    this.lastEventId = Number(this.list.lastElementChild?.dataset.segment ?? -1);
    this.duration = Number(this.dataset.duration ?? 0);
    this.retryDelay = FIRST_RETRY_MS;
    if (this.hasAttribute("data-finished")) return;
    this.showPosition();
    this.connect();
    if (this.lastEventId < 0) this.polling = setInterval(() => this.pollState(), STATE_POLL_MS);
    this.reconnectNow = () => { if (this.retry && !document.hidden) this.connect(); };
    window.addEventListener("online", this.reconnectNow);
    document.addEventListener("visibilitychange", this.reconnectNow);
  }

  disconnectedCallback() {
    this.stop();
    this.socket?.close();
  }

  // --- The connection -------------------------------------------------------------------------

  connect() {
    clearTimeout(this.retry);
    this.retry = null;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const path = `/ws/transcriptions/${this.dataset.id}/?after=${this.lastEventId}`;
    this.socket = new WebSocket(`${scheme}//${location.host}${path}`);
    this.socket.addEventListener("open", () => this.showProgressText(""));
    this.socket.addEventListener("message", (message) => {
      this.retryDelay = FIRST_RETRY_MS; // not on "open": a refused socket is opened, too
      this.handle(JSON.parse(message.data));
    });
    this.socket.addEventListener("close", (event) => this.closed(event.code));
  }

  closed(code) {
    if (this.stopped) return;
    if (code === NOT_FOUND) {
      this.showDeleted(text(this, "notFound"));
      return;
    }
    this.showProgressText(text(this, "reconnecting"));
    this.retry = setTimeout(() => this.connect(), this.retryDelay * (0.75 + Math.random() / 2));
    this.retryDelay = Math.min(2 * this.retryDelay, MAX_RETRY_MS);
  }

  stop() {
    this.stopped = true;
    this.list.removeAttribute("aria-live"); // later corrections need not be read out
    clearTimeout(this.retry);
    clearInterval(this.polling);
    window.removeEventListener("online", this.reconnectNow);
    document.removeEventListener("visibilitychange", this.reconnectNow);
  }

  async pollState() {
    const response = await fetch(`/api/transcriptions/${this.dataset.id}`).catch(() => null);
    if (!response?.ok) return;
    const { state } = await response.json();
    if (this.lastEventId < 0 && !this.stopped) this.showState(state);
  }

  // --- Events ---------------------------------------------------------------------------------

  handle(event) {
    if (["partial", "speakers"].includes(event.type)) { // about what came before them
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
    const item = this.template.content.cloneNode(true).querySelector(".segment");
    Object.assign(item.dataset, { segment: segment.id, start: segment.start, end: segment.end });
    item.querySelector(".timestamp").textContent = formatDuration(segment.start);
    item.querySelector(".segment-text").textContent = segment.text;
    item.classList.add("new-segment");
    if (segment.speaker) item.dataset.speaker = segment.speaker;
    this.list.append(item);
    item.dispatchEvent(new CustomEvent("segment-added", { bubbles: true, detail: segment }));
    this.showState("transcribing");
    this.showPosition();
    scrollToEnd();
  }

  partial(event) {
    const scrollToEnd = keepEndInView(this, text(this, "newText"));
    this.partialText.textContent = event.text;
    scrollToEnd();
  }

  /** The speakers of segments that are shown have changed. */
  speakers(event) {
    this.dispatchEvent(new CustomEvent("speakers-changed", { detail: event }));
  }

  complete(event) {
    this.stop();
    if ("reload" in this.dataset) location.reload(); // the edits of an earlier transcript were added
    this.showState("completed");
    this.querySelector("#cancel")?.remove();
    this.querySelector("#progress")?.remove();
    this.showProgressText("");
    this.querySelector("#duration").textContent = formatDuration(event.duration);
    const note = this.querySelector("#note");
    Object.assign(note, { textContent: event.note, hidden: !event.note });
    for (const tool of this.querySelectorAll("[data-tool], [data-completed]")) tool.hidden = false;
    this.notifyPlayer();
  }

  error(event) {
    if (event.code === "deleted") this.showDeleted(event.detail);
    else this.fail(event.detail, event.code === "cancelled" ? "cancelled" : "failed");
  }

  fail(message, state = "failed") {
    this.stop();
    this.showState(state);
    this.querySelector("#cancel")?.remove();
    const retry = this.querySelector("#retry");
    retry.hidden = false;
    const isEmpty = !this.list.childElementCount; // else the part that was recognized can be used
    for (const tool of this.querySelectorAll("[data-tool]")) tool.hidden = isEmpty;
    if (state === "cancelled") retry.querySelector("button").textContent = text(this, "resume");
    this.querySelector("#progress")?.remove();
    this.showProgressText("");
    const alert = document.createElement("p");
    alert.className = "alert";
    alert.setAttribute("role", "alert");
    alert.textContent = message;
    this.querySelector(".metadata").after(alert);
  }

  /** Shows that the recording was deleted, without any actions. */
  showDeleted(message) {
    this.fail(message, "deleted");
    this.querySelector(".toolbar").remove();
  }

  // --- Display --------------------------------------------------------------------------------

  showState(state) {
    const status = this.querySelector("#status");
    if (status.dataset.state === state) return;
    status.dataset.state = state;
    status.textContent = text(this, state) || state;
  }

  showPosition() {
    const bar = this.querySelector("#progress");
    const done = Number(this.list.lastElementChild?.dataset.end ?? 0);
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
