/**
 * <library-export>: the rows of the library, of which some can be selected and exported as one ZIP
 * file. While recordings are selected, a click anywhere in a row selects it.
 */
import {
  chosenOptions, rememberChoice, requestFile, restoreChoice, saveFile, showUsedOptions,
} from "./export-options.js";
import { text } from "./text.js";

customElements.define("library-export", class extends HTMLElement {
  connectedCallback() {
    this.bar = this.querySelector(".selection-bar");
    this.dialog = this.querySelector("dialog");
    this.form = this.dialog.querySelector("form");
    this.button = document.querySelector("#select-recordings");
    this.button.hidden = false; // the button needs this script
    this.button.addEventListener("click", () => this.toggle(this.button.ariaPressed !== "true"));
    this.querySelector("[data-all]").addEventListener("click", () => this.selectAll());
    this.querySelector("[data-cancel]").addEventListener("click", () => this.toggle(false));
    this.querySelector("[data-open]").addEventListener("click", () => this.open());
    this.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
    this.querySelector(".recordings").addEventListener("click", (event) => this.clicked(event));
    this.addEventListener("change", () => this.showCount());
    this.form.addEventListener("input", () => showUsedOptions(this.form));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.download();
    });
    this.toggle(false); // the browser may have restored checkboxes
  }

  get boxes() {
    return [...this.querySelectorAll(".recording-select")];
  }

  get selected() {
    return this.boxes.filter((box) => box.checked).map((box) => box.value);
  }

  toggle(on) {
    const hadFocus = this.bar.contains(document.activeElement);
    this.button.ariaPressed = String(on);
    this.classList.toggle("selecting", on);
    this.bar.hidden = !on;
    if (!on) for (const box of this.boxes) box.checked = false;
    if (hadFocus) this.button.focus();
    this.showCount();
  }

  selectAll() {
    const isAll = this.boxes.every((box) => box.checked);
    for (const box of this.boxes) box.checked = !isAll;
    this.showCount();
  }

  clicked(event) {
    if (this.bar.hidden || event.target.matches(".recording-select")) return;
    event.preventDefault();
    event.target.closest(".recording")?.querySelector(".recording-select")?.click();
  }

  showCount() {
    const count = this.selected.length;
    this.bar.querySelector("[role=status]").textContent = text(this, "selected", { count });
    this.querySelector("[data-open]").disabled = !count;
  }

  open() {
    restoreChoice(this.form);
    showUsedOptions(this.form);
    this.show("", "");
    this.dialog.showModal();
  }

  async download() {
    if (this.isBusy) return;
    this.isBusy = true;
    rememberChoice(this.form);
    this.show(text(this, "working"), "");
    try {
      const file = await this.request();
      saveFile(file);
      this.show(text(this, "downloaded", file), "");
    } catch (error) {
      this.show("", error.message);
    }
    this.isBusy = false;
  }

  request() {
    return requestFile(this, "/api/transcriptions/export", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ids: this.selected, ...chosenOptions(this.form) }),
    });
  }

  show(message, problem) {
    this.form.querySelector("[role=status]").textContent = message;
    this.form.querySelector("[role=alert]").textContent = problem;
  }
});
