/**
 * A WebSocket with the events of a transcription. Event ids have no gaps (0 metadata, n the n-th segment), so after
 * a lost connection it asks for the events after the last one.
 */
const FIRST_RETRY_MS = 500, MAX_RETRY_MS = 10_000; // between attempts to connect
const NOT_FOUND = 4404;

export class LiveConnection {
  /**
   * `handlers`: opened(), received(event), lost(), notFound(), and path(), with the id of the last
   * event in its query.
   */
  constructor(handlers, protocols = []) {
    this.handlers = handlers;
    this.protocols = protocols;
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
    const url = `${scheme}//${location.host}${this.handlers.path()}`;
    const socket = this.socket = new WebSocket(url, this.protocols);
    const isCurrent = () => socket === this.socket;
    socket.addEventListener("open", () => isCurrent() && this.handlers.opened());
    socket.addEventListener("message", ({ data }) => isCurrent() && this.received(JSON.parse(data)));
    socket.addEventListener("close", ({ code }) => isCurrent() && this.closed(code));
  }

  received(event) {
    if (event.type !== "refused") this.retryDelay = FIRST_RETRY_MS; // not on "open": refused sockets open, too
    this.handlers.received(event);
  }

  /** Gives up a connection that seems dead: it may take the browser minutes to notice. */
  restart() {
    const { socket } = this;
    this.socket = null;
    socket.close();
    this.closed();
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

  /** Stops reconnecting. */
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
