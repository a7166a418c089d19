/**
 * <offline-page>: the transcripts that this browser keeps. It is shown instead of a page that
 * cannot be reached; instead of the page of a kept transcript, it shows that transcript.
 */
import { date as dates } from "./dates.js";
import { all, get, remove } from "./offline-store.js";
import { text } from "./text.js";
import { synchronize } from "./web-app.js";

customElements.define("offline-page", class extends HTMLElement {
  async connectedCallback() {
    this.list = this.querySelector("[data-kept]");
    this.isInPlace = location.pathname !== this.dataset.url;
    this.querySelector("[data-away]").hidden = !this.isInPlace;
    const isShare = location.pathname === this.dataset.share;
    this.querySelector("[data-shared]").hidden = !isShare || location.search;
    this.querySelector("[data-not-shared]").hidden = !isShare || !location.search;
    this.querySelector("[data-retry]").addEventListener("click", () => location.reload());
    addEventListener("hashchange", () => this.show());
    await synchronize().catch(() => {});
    await this.show();
  }

  async show() {
    const id = location.hash.slice(1) || location.pathname.match(/^\/transcriptions\/([^/]+)\/$/)?.[1];
    const transcript = id && await get("transcripts", id);
    this.querySelector("[data-list]").hidden = Boolean(transcript);
    this.querySelector("[data-reading]").hidden = !transcript;
    if (transcript) this.read(transcript);
    else await this.showList();
  }

  async showList() {
    document.title = `${this.querySelector("h1").textContent} · Transcodio`;
    const kept = await all("transcripts").catch(() => []);
    kept.sort((one, other) => other.keptAt - one.keptAt);
    this.list.replaceChildren(...kept.map((transcript) => this.row(transcript)));
    this.querySelector("[data-empty]").hidden = kept.length > 0;
  }

  row({ id, title, details, keptAt }) {
    const row = this.clone("[data-row]");
    const link = row.querySelector("a");
    link.textContent = title;
    link.href = `${this.dataset.url}#${id}`;
    row.querySelector("p").textContent = `${details} · ${this.keptOn(keptAt)}`;
    const button = row.querySelector("button");
    button.setAttribute("aria-label", text(this, "remove", { title }));
    button.addEventListener("click", async () => {
      await remove("transcripts", id);
      await this.showList();
      this.querySelector("h1").focus();
    });
    return row;
  }

  read({ title, details, language, keptAt, paragraphs }) {
    document.title = `${title} · Transcodio`;
    this.querySelector("[data-title]").textContent = title;
    this.querySelector("[data-details]").textContent = `${details} · ${this.keptOn(keptAt)}`;
    const body = this.querySelector("[data-text]");
    body.lang = language;
    body.classList.toggle("with-speakers", paragraphs.some(({ speaker }) => speaker));
    body.replaceChildren(...paragraphs.map((paragraph) => this.paragraph(paragraph)));
    scrollTo(0, 0);
  }

  paragraph({ speaker, time, text: content }) {
    const section = this.clone("[data-paragraph]");
    const name = section.querySelector(".turn-speaker");
    if (speaker) name.textContent = speaker;
    else name.remove();
    section.querySelector(".timestamp").textContent = time;
    section.querySelector(".paragraph-text").textContent = content;
    return section;
  }

  clone(selector) {
    return this.querySelector(`template${selector}`).content.cloneNode(true).firstElementChild;
  }

  keptOn(date) {
    return text(this, "keptOn", { date: dates.format(date) });
  }
});
