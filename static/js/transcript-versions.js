/**
 * <transcript-versions data-id>: a dialog with the versions of the transcript. It shows where each
 * one differs from the present text, and restores it.
 */
import { dateAndTime } from "./dates.js";
import { formatDuration } from "./duration.js";
import { errorMessage } from "./requests.js";
import { text } from "./text.js";

customElements.define("transcript-versions", class extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    this.list = this.querySelector("[data-list]");
    this.details = this.querySelector("[data-details]");
    this.problem = this.querySelector("[role=alert]");
    this.restore = this.querySelector("[data-restore]");
    this.editor = this.closest("live-transcript").querySelector("transcript-editor");
    this.querySelector("[data-open]").addEventListener("click", () => this.open());
    this.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
    this.restore.addEventListener("click", () => this.restoreChosen());
    this.list.addEventListener("change", ({ target }) => this.choose(target.value));
  }

  async open() {
    await this.editor.settled(); // unsaved changes are part of the last version
    this.restore.disabled = true;
    this.details.replaceChildren();
    this.list.replaceChildren();
    this.dialog.showModal();
    const versions = await this.load("versions");
    versions?.forEach((version, index) => this.list.append(this.row(version, index)));
  }

  async load(path) {
    const response = await fetch(`/api/transcriptions/${this.dataset.id}/${path}`).catch(() => null);
    const body = await response?.json().catch(() => null);
    this.problem.textContent = "";
    if (response?.ok && body) return body;
    this.problem.textContent = response ? errorMessage(response.status, body) : text(this, "unreachable");
    return null;
  }

  row({ revision, at, edits }, index) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "version", value: revision });
    const when = document.createElement("span");
    when.textContent = at
      ? dateAndTime.format(new Date(at))
      : text(this, "first");
    const about = document.createElement("small");
    about.textContent = index ? edits && text(this, edits === 1 ? "edit" : "edits", { count: edits }) || "" : text(this, "present");
    label.append(input, when, about);
    return label;
  }

  async choose(revision) {
    this.chosen = revision;
    this.restore.disabled = true;
    const body = await this.load(`versions/${revision}`);
    if (!body || this.chosen !== revision) return;
    const { passages } = body;
    this.restore.disabled = !passages.length;
    const empty = document.createElement("p");
    empty.textContent = text(this, "same");
    this.details.replaceChildren(...(passages.length ? passages.map(passageRow) : [empty]));
  }

  async restoreChosen() {
    this.dialog.close();
    await this.editor.session.request(`versions/${this.chosen}/restore`);
  }
});

function passageRow({ start, speaker_before: before, speaker, texts }) {
  const row = document.createElement("p");
  row.dir = "auto";
  const head = document.createElement("small");
  head.textContent = [formatDuration(start), before === speaker ? speaker : `${before || "–"} → ${speaker || "–"}`]
    .filter(Boolean).join(" · ");
  row.append(head, document.createElement("br"));
  for (const { kind, text: content } of texts) {
    const name = { removed: "ins", added: "del" }[kind]; // from the point of view of the version
    const part = document.createElement(name ?? "span");
    part.textContent = content;
    row.append(part, " ");
  }
  return row;
}
