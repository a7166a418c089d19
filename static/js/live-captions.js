/**
 * <live-captions data-url>: live captions in large letters, the newest line at the bottom. It
 * reconnects for as long as the link is valid.
 */
import { showPartial } from "./partial-text.js";
import { text } from "./text.js";

const FIRST_RETRY_MS = 1_000, MAX_RETRY_MS = 15_000;
const MAX_LINES = 60;
const SIZES = [1.25, 1.75, 2.5, 3.5, 5, 7]; // rem
const STORAGE_KEY = "captions-size";
const NEAR_END_PX = 40;

customElements.define("live-captions", class extends HTMLElement {
  connectedCallback() {
    this.lines = this.querySelector("[data-lines]");
    this.partial = this.querySelector("[data-partial]");
    this.delay = FIRST_RETRY_MS;
    this.lastId = "";
    this.size = storedSize() ?? Math.round(2 + (innerWidth > 800));
    for (const button of this.querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => this.resize(Number(button.dataset.step)));
    }
    this.resize(0);
    addEventListener("resize", () => this.toEnd());
    this.connect();
  }

  resize(step) {
    this.size = Math.max(0, Math.min(SIZES.length - 1, this.size + step));
    try {
      localStorage.setItem(STORAGE_KEY, this.size);
    } catch { /* no storage: it is as before the next time */ }
    this.style.setProperty("--captions-size", `${SIZES[this.size]}rem`);
    for (const button of this.querySelectorAll("[data-step]")) {
      button.disabled = !SIZES[this.size + Number(button.dataset.step)];
    }
    this.toEnd();
  }

  connect() {
    const after = this.lastId && `?after=${this.lastId}`;
    this.source = new EventSource(this.dataset.url + after);
    this.source.addEventListener("open", () => {
      this.delay = FIRST_RETRY_MS;
      this.show("");
    });
    this.source.addEventListener("text", ({ data, lastEventId }) => this.add(JSON.parse(data), lastEventId));
    this.source.addEventListener("partial", ({ data }) => this.change(() => showPartial(this.partial, JSON.parse(data))));
    this.source.addEventListener("end", () => this.end());
    this.source.addEventListener("error", () => this.lost());
  }

  /** EventSource gives up if the server refuses a connection, even if that is only temporary. */
  async lost() {
    this.source.close();
    this.show(text(this, "reconnecting"));
    const response = await fetch(location.href, { method: "HEAD" }).catch(() => null);
    if (response?.status === 404) {
      this.end();
      return;
    }
    setTimeout(() => this.connect(), this.delay * (0.5 + Math.random()));
    this.delay = Math.min(2 * this.delay, MAX_RETRY_MS);
  }

  add({ text: content }, id) {
    this.lastId = id;
    this.change(() => {
      const line = Object.assign(document.createElement("p"), { dir: "auto", textContent: content });
      this.lines.append(line);
      this.partial.replaceChildren();
      while (this.lines.childElementCount > MAX_LINES) this.lines.firstElementChild.remove();
    });
  }

  /** Changes the text, and keeps its end in view unless the reader has scrolled up. */
  change(work) {
    const page = document.documentElement;
    const isAtEnd = page.scrollHeight - innerHeight - scrollY < NEAR_END_PX;
    this.querySelector("[data-waiting]")?.remove();
    work();
    if (isAtEnd) this.toEnd();
  }

  toEnd() {
    scrollTo({ top: document.documentElement.scrollHeight });
  }

  end() {
    this.source.close();
    this.partial.replaceChildren();
    this.querySelector("[data-waiting]")?.remove();
    this.show(text(this, "ended"));
    this.toEnd();
  }

  show(message) {
    const status = this.querySelector("[role=status]");
    Object.assign(status, { textContent: message, hidden: !message });
  }
});

function storedSize() {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    return stored && Number(stored);
  } catch {
    return null;
  }
}
