/** <share-captions data-id>: a link with which anyone can read a live recording, until it is switched off. */
import { copy } from "./clipboard.js";
import { sendJson } from "./requests.js";
import { text } from "./text.js";

customElements.define("share-captions", class extends HTMLElement {
  static observedAttributes = ["data-id"];

  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    this.field = this.querySelector("[data-link]");
    const on = (name, action) => this.querySelector(`[data-${name}]`).addEventListener("click", action);
    on("open", () => this.open());
    on("share", () => this.change("POST"));
    on("withdraw", () => this.change("DELETE"));
    on("copy", () => this.copy());
    on("close", () => this.dialog.close());
    this.field.addEventListener("focus", () => this.field.select());
    this.attributeChangedCallback();
  }

  /** Hidden until the server has the recording. */
  attributeChangedCallback() {
    const button = this.querySelector("[data-open]");
    if (button) button.disabled = !this.dataset.id;
  }

  open() {
    this.show("");
    this.dialog.showModal();
    this.change("GET");
  }

  async change(method) {
    const buttons = this.querySelectorAll("[data-share], [data-withdraw]");
    for (const button of buttons) button.disabled = true;
    const { body, problem } = await sendJson(this, method, `/api/transcriptions/${this.dataset.id}/captions`);
    for (const button of buttons) button.disabled = false;
    if (problem) return this.show(problem);
    this.showLink(body?.url ?? "");
    // The button that was pressed is hidden now.
    if (method !== "GET") this.querySelector(body?.url ? "[data-copy]" : "[data-share]").focus();
  }

  showLink(url) {
    this.field.value = url;
    this.querySelector("[data-visit]").href = url;
    this.querySelector("[data-shared]").hidden = !url;
    this.querySelector("[data-unshared]").hidden = Boolean(url);
    this.toggleAttribute("data-is-shared", Boolean(url));
    this.show("");
  }

  async copy() {
    const link = document.createElement("a");
    Object.assign(link, { href: this.field.value, textContent: this.field.value });
    this.show(text(this, await copy(this.field.value, link.outerHTML) ? "copied" : "notCopied"));
  }

  show(message) {
    this.querySelector("[role=status]").textContent = message;
  }
});
