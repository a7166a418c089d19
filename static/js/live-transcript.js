/**
 * <live-transcript data-id data-duration [data-finished]>: follows a recording over a WebSocket and
 * adds its segments as they are recognised. Events count without gaps (0 metadata, n the n-th
 * segment), so after a lost connection it asks for what comes after the last one it has.
 */
import { clock } from "./clock.js";
import { keepTheEndInSight } from "./follow-end.js";

const LABELS = {
  queued: "Waiting",
  preprocessing: "Preparing audio",
  prepared: "Waiting for speech recognition",
  transcribing: "Transcribing",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
  deleted: "Deleted",
};
const FIRST_WAIT = 500, LONGEST_WAIT = 10_000; // milliseconds between attempts to connect
const STATE_POLL = 1500; // until the first event: before it, nothing is sent that could be followed
const NOT_FOUND = 4404;

customElements.define("live-transcript", class extends HTMLElement {
  connectedCallback() {
    this.list = this.querySelector("#segments");
    this.early = this.querySelector("#early");
    this.template = this.querySelector("template");
    this.seen = Number(this.list.lastElementChild?.dataset.segment ?? -1);
    this.duration = Number(this.dataset.duration ?? 0);
    this.wait = FIRST_WAIT;
    if (this.hasAttribute("data-finished")) return;
    this.showPosition();
    this.connect();
    if (this.seen < 0) this.polling = setInterval(() => this.pollState(), STATE_POLL);
    this.hurry = () => { if (this.retry && !document.hidden) this.connect(); };
    window.addEventListener("online", this.hurry);
    document.addEventListener("visibilitychange", this.hurry);
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
    const path = `/ws/transcriptions/${this.dataset.id}/?after=${this.seen}`;
    this.socket = new WebSocket(`${scheme}//${location.host}${path}`);
    this.socket.addEventListener("open", () => { this.wait = FIRST_WAIT; this.say(""); });
    this.socket.addEventListener("message", (message) => this.handle(JSON.parse(message.data)));
    this.socket.addEventListener("close", (event) => this.closed(event.code));
  }

  closed(code) {
    if (this.ended) return;
    if (code === NOT_FOUND) {
      this.gone("This recording is not there any more. It may have been deleted.");
      return;
    }
    this.say("Reconnecting …");
    this.retry = setTimeout(() => this.connect(), this.wait * (0.75 + Math.random() / 2));
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }

  stop() {
    this.ended = true;
    this.list.removeAttribute("aria-live"); // what is corrected later need not be read out
    clearTimeout(this.retry);
    clearInterval(this.polling);
    window.removeEventListener("online", this.hurry);
    document.removeEventListener("visibilitychange", this.hurry);
  }

  async pollState() {
    const answer = await fetch(`/api/transcriptions/${this.dataset.id}`).catch(() => null);
    if (answer?.ok && this.seen < 0 && !this.ended) this.showState((await answer.json()).state);
  }

  // --- Events ---------------------------------------------------------------------------------

  handle(event) {
    if (event.type === "partial") {
      this.partial(event);
      return;
    }
    if (event.id <= this.seen) return;
    this.seen = event.id;
    this.early.textContent = "";
    clearInterval(this.polling);
    this[event.type]?.(event);
  }

  metadata(event) {
    this.duration = event.duration;
    this.list.lang = event.language;
    this.querySelector("#language").textContent = languageName(event.language);
    this.showState("transcribing");
    this.showPosition();
    this.tell("transcript-started"); // from here on there is sound to be played
  }

  progress({ segment }) {
    const follow = keepTheEndInSight(this);
    const item = this.template.content.cloneNode(true).querySelector(".segment");
    Object.assign(item.dataset, { segment: segment.id, start: segment.start, end: segment.end });
    item.querySelector(".stamp").textContent = clock(segment.start);
    item.querySelector(".segment-text").textContent = segment.text;
    item.classList.add("fresh");
    this.list.append(item);
    this.showState("transcribing");
    this.showPosition();
    follow();
  }

  partial({ text }) {
    const follow = keepTheEndInSight(this);
    this.early.textContent = text;
    follow();
  }

  complete(event) {
    this.stop();
    this.showState("completed");
    this.querySelector("#cancel")?.remove();
    this.querySelector("#progress")?.remove();
    this.say("");
    this.querySelector("#duration").textContent = clock(event.duration);
    const note = this.querySelector("#note");
    note.textContent = event.note;
    note.hidden = !event.note;
    this.querySelector("#exports").hidden = false;
    this.querySelector("transcript-editor").hidden = false;
    this.tell("transcript-started");
  }

  error(event) {
    if (event.code === "deleted") this.gone(event.detail);
    else this.fail(event.detail, event.code === "cancelled" ? "cancelled" : "failed");
  }

  fail(sentence, state = "failed") {
    this.stop();
    this.showState(state);
    this.querySelector("#cancel")?.remove();
    this.querySelector("#retry").hidden = false;
    this.querySelector("#progress")?.remove();
    this.say("");
    const alert = document.createElement("p");
    alert.className = "alert";
    alert.setAttribute("role", "alert");
    alert.textContent = sentence;
    this.querySelector(".facts").after(alert);
  }

  /** There is nothing left to be tried again, or to be deleted. */
  gone(sentence) {
    this.fail(sentence, "deleted");
    this.querySelector(".toolbar").remove();
  }

  // --- What is seen ---------------------------------------------------------------------------

  showState(state) {
    const status = this.querySelector("#status");
    if (status.dataset.state === state) return;
    status.dataset.state = state;
    status.textContent = LABELS[state] ?? state;
  }

  showPosition() {
    const bar = this.querySelector("#progress");
    const done = Number(this.list.lastElementChild?.dataset.end ?? 0);
    if (!bar || !this.duration || !done) return;
    bar.max = this.duration;
    bar.value = Math.min(done, this.duration);
    this.say(`${clock(done)} of ${clock(this.duration)}`);
  }

  say(text) {
    this.querySelector("#position").textContent = text;
    if (!text && !this.ended) this.showPosition();
  }

  tell(name) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true }));
  }
});

function languageName(code) {
  try {
    return new Intl.DisplayNames(["en"], { type: "language" }).of(code);
  } catch {
    return code;
  }
}
