/**
 * A live recording: it sends its audio to the server, over any number of connections. Unconfirmed
 * audio is kept in this browser, and another page can continue with it.
 */
import { forget, hold, keep } from "./kept-recordings.js";
import { LiveConnection } from "./live-connection.js";
import { RecordedAudio } from "./recorded-audio.js";
import { account, claimed } from "./web-app.js";

export const BYTES_PER_S = 48_000; // 24 kHz, 16 bit
const WINDOW_BYTES = 20 * BYTES_PER_S; // sent ahead of the last confirmation
const SILENCE_MS = 10_000; // of the server, after which the connection is replaced
const MIN_REST_BYTES = BYTES_PER_S; // of audio for which a second recording is created
// `base` is where the audio of the session begins: before 0, if it was sent and erased by an earlier page.
const NEW = { session: null, base: 0, isEnding: false };
const FINAL = ["session_ended", "not_found", "taken_over"];
const MAX_TAKEN_OVER = 3; // in succession: the server may still hold a connection that was lost

export class LiveRecording {
  /**
   * `record`: from `interrupted`, or { title, options } of a new one. `handlers`: changed(),
   * event(e), ended(message) when the server accepts no more audio, refused(message), and
   * finished(url), without a URL if there is no recording.
   */
  constructor(record, handlers) {
    this.record = { ...NEW, id: crypto.randomUUID(), startedAt: new Date(), ...record };
    this.handlers = handlers;
    this.audio = new RecordedAudio(this.record.id, handlers.changed);
    this.lastEventId = -1;
    this.takenOver = 0;
    this.sent = this.record.base;
    for (const name of ["beforeunload", "pagehide"]) addEventListener(name, () => this.audio.store());
  }

  /** Resolves to false if another page is working on it. */
  async start() {
    await claimed;
    this.release = await hold(this.record.id);
    if (!this.release) return false;
    await this.audio.restore().catch(() => {});
    this.audio.confirm(this.record.base);
    this.restored = this.audio.end;
    await keep(this.record);
    const [path, received, lost] = [() => this.path(), (message) => this.handle(message), () => this.lost()];
    this.connection = new LiveConnection({ path, received, lost, notFound: lost, opened() {} }, ["transcodio"]);
    this.checking = setInterval(() => this.check(), SILENCE_MS);
    return true;
  }

  path() {
    const { session, title, options } = this.record;
    // Another account may have signed in meanwhile: it must not get the audio.
    if (session) return `/api/live?${new URLSearchParams({ session, account, after: this.lastEventId })}`;
    const given = Object.entries({ ...options, title, account }).filter(([, value]) => value);
    return `/api/live?${new URLSearchParams(given)}`;
  }

  get seconds() {
    return (this.audio.end - this.record.base) / BYTES_PER_S;
  }

  // --- Audio ----------------------------------------------------------------------------------

  add(data) {
    this.audio.add(data);
    this.pump();
  }

  /** Lets the server complete all words so far, because of a pause. */
  commit() {
    this.isCommitting = true;
    this.pump();
    return this.audio.store();
  }

  /** No more audio follows. */
  async end() {
    this.record.isEnding = true;
    await this.audio.store();
    await keep(this.record);
    this.pump();
  }

  async pump() {
    if (this.isPumping) return;
    this.isPumping = true;
    try {
      while (this.maySend) {
        const { socket, sent } = this;
        const data = await this.audio.read(sent);
        if (!data) break;
        if (socket !== this.socket) continue;
        socket.send(data);
        this.sent = sent + data.byteLength;
      }
    } finally {
      this.isPumping = false;
    }
    if (!this.socket || this.isOver || this.sent < this.audio.end) return;
    if (this.isCommitting && !this.record.isEnding) this.socket.send('{"type":"commit"}');
    if (this.record.isEnding && !this.isEndSent) this.socket.send('{"type":"end"}');
    this.isCommitting = false;
    this.isEndSent = this.record.isEnding;
  }

  get maySend() {
    const isAhead = this.sent - this.audio.confirmed > WINDOW_BYTES;
    return this.socket && !this.isOver && this.sent < this.audio.end && !isAhead;
  }

  /** A connection over which nothing is confirmed is dead. */
  check() {
    const isWaiting = this.socket && this.sent > this.audio.confirmed;
    if (isWaiting && performance.now() - this.heardAt > SILENCE_MS) this.connection.restart();
  }

  // --- The server -----------------------------------------------------------------------------

  handle(message) {
    const { type } = message;
    this.heardAt = performance.now();
    if (["session", "received", "ended", "refused"].includes(type)) this[type](message);
    else if (type !== "committed") this.event(message);
  }

  async session({ session, received, url }) {
    const isNew = !this.hasConnected || this.record.session !== session;
    // The server may have more than an earlier page stored here: new audio follows that.
    if (!this.hasConnected) this.record.base = Math.min(this.record.base, this.restored - received);
    this.hasConnected = true;
    Object.assign(this.record, { session, url });
    this.sent = this.record.base + received;
    this.audio.confirm(this.sent);
    this.isEndSent = false;
    this.socket = this.connection.socket;
    this.handlers.changed();
    this.pump();
    if (isNew && !this.isOver) await keep(this.record);
  }

  received({ received }) {
    this.takenOver = 0;
    this.audio.confirm(this.record.base + received);
    this.pump();
  }

  ended(message) {
    this.forget(); // the server wants no more of it
    this.handlers.ended(message);
  }

  refused(message) {
    const rest = this.audio.end - this.audio.confirmed;
    if (this.isOver) this.finish(this.record.url);
    else if (message.code === "session_ended" && rest > MIN_REST_BYTES) {
      Object.assign(this.record, { session: null, base: this.audio.confirmed });
      this.lastEventId = -1;
      this.connection.restart();
    } else if (message.code === "taken_over" && (this.takenOver += 1) < MAX_TAKEN_OVER) {
      this.lost();
    } else if (FINAL.includes(message.code)) {
      this.stop();
      if (message.code !== "taken_over") this.forget();
      this.handlers.ended(message);
      if (message.code === "session_ended") this.handlers.finished(this.record.url);
    } else {
      this.handlers.refused(message); // the connection is retried
    }
  }

  event(event) {
    if (!["partial", "turn", "speakers"].includes(event.type)) this.lastEventId = Math.max(this.lastEventId, event.id);
    this.handlers.event(event);
    if (["complete", "error"].includes(event.type)) this.finish(event.code === "deleted" ? null : this.record.url);
  }

  finish(url) {
    this.forget();
    this.stop();
    this.handlers.finished(url);
  }

  lost() {
    this.socket = null;
    this.handlers.changed();
  }

  /** Deletes the recording from this browser: the server has it, or it is over. */
  forget() {
    this.isOver = this.audio.isOver = true;
    return forget(this.record.id);
  }

  stop() {
    this.connection?.close();
    this.socket = null;
    this.release?.();
    clearInterval(this.checking);
  }
}
