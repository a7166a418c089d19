/**
 * <shared-files>: the files that were shared with the app, with their sizes. Nothing is uploaded
 * before the user confirms it, because a form on another site can share files, too. Until then they
 * wait in the browser. Sends `files-accepted` with the records of the uploads.
 */
import { accept, all, remove } from "./offline-store.js";
import { account, claimed } from "./web-app.js";

const KB = 1024;

customElements.define("shared-files", class extends HTMLElement {
  async connectedCallback() {
    this.querySelector("[data-upload]").addEventListener("click", () => this.upload());
    this.querySelector("[data-discard]").addEventListener("click", () => this.discard());
    await claimed;
    this.records = await all("shared").catch(() => []);
    const rows = this.records.map(({ file }) => this.row(file));
    this.querySelector("ul").replaceChildren(...rows);
    this.hidden = !rows.length;
  }

  row({ name, size }) {
    const row = this.querySelector("template").content.cloneNode(true).firstElementChild;
    row.querySelector("[data-name]").textContent = name;
    row.querySelector("[data-size]").textContent = sizeOf(size);
    return row;
  }

  async upload() {
    this.hidden = true;
    const ids = this.records.map(({ id }) => id);
    try {
      await accept(account, ids, this.parentElement.options.values);
    } catch {
      location.reload(); // another user has signed in
      return;
    }
    const uploads = (await all("uploads")).filter(({ id }) => ids.includes(id));
    this.dispatchEvent(new CustomEvent("files-accepted", { bubbles: true, detail: uploads }));
  }

  async discard() {
    this.hidden = true;
    for (const { id } of this.records) await remove("shared", id);
  }
});

function sizeOf(bytes) {
  const [value, unit] = bytes < KB * KB ? [bytes / KB, "kilobyte"] : [bytes / KB / KB, "megabyte"];
  const digits = unit === "kilobyte" ? 0 : 1;
  const format = { style: "unit", unit, minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(document.documentElement.lang, format).format(value || 0);
}
