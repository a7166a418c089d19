/**
 * The WebSocket of a transcription. Event ids have no gaps (0 metadata, n the n-th segment), so after
 * a lost connection it asks for the events after the last one.
 */
const FIRST_RETRY_MS = 500, MAX_RETRY_MS = 10_000; // between attempts to connect
const NOT_FOUND = 4404;

export class LiveConnection {
  /** `handlers`: opened(), received(event), lost(), and notFound(). `lastEventId` is read from them. */
  constructor(id, handlers) {
    this.id = id;
    this.handlers = handlers;
    this.retryDelay = FIRST_RETRY_MS;
    this.reconnectNow = () => { if (this.retry && !document.hidden) this.connect(); };
    window.addEventListener("online", this.reconnectNow);
    document.addEventListener("visibilitychange", this.reconnectNow);
    this.connect();
  }

  connect() {
    clearTimeout(this.retry);
    this.retry = null;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const path = `/ws/transcriptions/${this.id}/?after=${this.handlers.lastEventId}`;
    this.socket = new WebSocket(`${scheme}//${location.host}${path}`);
    this.socket.addEventListener("open", () => this.handlers.opened());
    this.socket.addEventListener("message", (message) => {
      this.retryDelay = FIRST_RETRY_MS; // not on "open": a refused socket is opened, too
      this.handlers.received(JSON.parse(message.data));
    });
    this.socket.addEventListener("close", (event) => this.closed(event.code));
  }

  closed(code) {
    if (this.stopped) return;
    if (code === NOT_FOUND) {
      this.handlers.notFound();
      return;
    }
    this.handlers.lost();
    this.retry = setTimeout(() => this.connect(), this.retryDelay * (0.75 + Math.random() / 2));
    this.retryDelay = Math.min(2 * this.retryDelay, MAX_RETRY_MS);
  }

  /** Does not connect again. */
  stop() {
    this.stopped = true;
    clearTimeout(this.retry);
    window.removeEventListener("online", this.reconnectNow);
    document.removeEventListener("visibilitychange", this.reconnectNow);
  }

  /** Stops, and closes the socket. */
  close() {
    this.stop();
    this.socket.close();
  }
}
