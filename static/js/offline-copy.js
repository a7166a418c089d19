/**
 * <offline-copy data-id>: keeps the text of this transcript in the browser while its box is
 * checked, and keeps it up to date. Hidden where there is no service worker to show it.
 */
import { all, get, put, remove } from "./offline-store.js";
import { text } from "./text.js";
import { account, claimed } from "./web-app.js";

const MAX_KEPT = 50; // their ids are sent in a URL
const DELAY_MS = 1000; // after the last change

customElements.define("offline-copy", class extends HTMLElement {
  async connectedCallback() {
    if (!navigator.serviceWorker || !account) return;
    this.box = this.querySelector("input");
    await claimed;
    this.box.checked = Boolean(await get("transcripts", this.dataset.id));
    this.hidden = false;
    if (this.box.checked) this.keep();
    this.box.addEventListener("change", () => this.toggle());
    const observer = new MutationObserver(() => this.changed());
    for (const part of [document.querySelector("#segments"), this.heading]) {
      observer.observe(part, { childList: true, characterData: true, subtree: true });
    }
  }

  get heading() {
    return document.querySelector(".transcript-head h1");
  }

  changed() {
    clearTimeout(this.timer);
    if (this.box.checked) this.timer = setTimeout(() => this.keep(), DELAY_MS);
  }

  async toggle() {
    this.show("");
    if (!this.box.checked) {
      await remove("transcripts", this.dataset.id);
    } else if ((await all("transcripts")).length >= MAX_KEPT) {
      this.box.checked = false;
      this.show(text(this, "full", { count: MAX_KEPT }));
    } else {
      await this.keep();
    }
  }

  async keep() {
    try {
      await put(account, "transcripts", this.copy());
      if (this.box.checked) this.show(text(this, "kept"));
    } catch {
      this.box.checked = false;
      this.show(text(this, "notKept"));
    }
  }

  copy() {
    const details = [...document.querySelectorAll(".metadata :is(#duration, #language, time)")];
    const paragraphs = [...document.querySelectorAll("#segments .paragraph")];
    return {
      id: this.dataset.id,
      title: this.heading.textContent.trim(),
      details: details.map((element) => element.textContent.trim()).filter(Boolean).join(" · "),
      language: document.querySelector("#segments").lang,
      keptAt: new Date(),
      paragraphs: paragraphs.map((paragraph) => ({
        speaker: paragraph.querySelector(".turn-speaker")?.textContent ?? "",
        time: paragraph.querySelector(".timestamp").textContent,
        text: paragraph.querySelector(".paragraph-text").textContent.trim(),
      })),
    };
  }

  show(message) {
    this.querySelector("[role=status]").textContent = message;
  }
});
