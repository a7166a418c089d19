/**
 * <transcript-editor data-id>: edits the title and the segments of a finished transcript in place.
 * A field is saved when it loses focus; Enter moves to the next one, Escape restores the text.
 * `data-saved` of a field is the text on the server; a field with another text has unsaved changes.
 */
import { formatDuration } from "./duration.js";
import { sendJson } from "./requests.js";
import { text } from "./text.js";
import { replace, segmentOf } from "./transcript-text.js";

customElements.define("transcript-editor", class extends HTMLElement {
  connectedCallback() {
    this.button = this.querySelector("button");
    this.status = this.querySelector("[role=status]");
    this.page = this.closest("live-transcript");
    this.requests = new Map(); // by field, while they are in progress
    this.button.addEventListener("click", () => this.toggle(this.button.ariaPressed !== "true"));
    this.page.addEventListener("focusin", (event) => this.focused(event.target));
    this.page.addEventListener("focusout", (event) => this.blurred(event.target));
    this.page.addEventListener("keydown", (event) => this.keyPressed(event));
    window.addEventListener("beforeunload", (event) => {
      if (this.unsaved.length) event.preventDefault();
    });
  }

  get fields() {
    return [...this.page.querySelectorAll("h1, .segment")];
  }

  get unsaved() {
    return [...this.page.querySelectorAll("[data-saved]")].filter(isChanged);
  }

  async toggle(on) {
    if (!on) {
      document.activeElement?.blur();
      await Promise.all(this.unsaved.map((field) => this.save(field)));
      if (this.unsaved.length) return; // stay in edit mode: the status shows the reason
    }
    this.button.ariaPressed = String(on);
    this.button.textContent = text(this, on ? "done" : "edit");
    this.page.classList.toggle("editing", on);
    for (const field of this.fields) {
      if (on) this.open(field);
      else close(field);
    }
    this.showStatus(on ? "editing" : "");
  }

  // --- One field ------------------------------------------------------------------------------

  open(field) {
    try {
      field.contentEditable = "plaintext-only";
    } catch {
      field.contentEditable = "true"; // older browsers; pasted content is read as text anyway
    }
    field.setAttribute("role", "textbox");
    const time = field.dataset.start && formatDuration(field.dataset.start);
    const label = time ? text(this, "segmentLabel", { time }) : text(this, "titleLabel");
    field.setAttribute("aria-label", label);
  }

  focused(field) {
    if (field.isContentEditable) field.dataset.saved ??= normalize(field.textContent);
  }

  keyPressed(event) {
    const field = event.target;
    if (!field.isContentEditable || event.isComposing) return;
    if (event.key === "Escape") {
      field.textContent = field.dataset.saved;
      field.blur();
    } else if (event.key === "Enter") {
      event.preventDefault();
      const all = this.fields;
      const next = all.slice(all.indexOf(field) + 1).find((other) => !other.closest("[hidden]"));
      if (next) next.focus();
      else field.blur();
    }
  }

  blurred(field) {
    if (field.dataset.saved === undefined) return;
    const isEmpty = !normalize(field.textContent);
    if (isEmpty) field.textContent = field.dataset.saved;
    if (isChanged(field) || this.requests.has(field)) {
      this.save(field);
      return;
    }
    if (field.classList.contains("unsaved")) this.showStatus(""); // the edit was undone
    this.markSaved(field);
    if (isEmpty) this.showStatus("empty");
  }

  /** One request per field at a time: what is typed in the meantime is sent after it. */
  save(field) {
    if (!this.requests.has(field)) {
      this.requests.set(field, this.send(field).finally(() => this.requests.delete(field)));
    }
    return this.requests.get(field);
  }

  async send(field) {
    this.showStatus("saving");
    const sent = normalize(field.textContent);
    const { body, problem, saved } = await this.store(field, sent);
    if (problem) {
      field.classList.add("unsaved");
      this.showStatus("notSaved", { problem });
      return;
    }
    field.dataset.saved = saved;
    if (field !== document.activeElement) {
      if (normalize(field.textContent) !== sent) return this.send(field);
      if (segmentOf(field)) replace(body.id, body.id, [body]);
      else field.textContent = saved;
    }
    this.markSaved(field);
    this.showStatus("saved");
  }

  async store(field, value) {
    const segment = field.closest("[data-segment]")?.dataset.segment;
    const path = segment ? `/segments/${segment}` : "";
    const url = `/api/transcriptions/${this.dataset.id}${path}`;
    const content = segment ? { text: value, expected_text: field.dataset.saved } : { title: value };
    const { body, problem } = await sendJson(this, "PATCH", url, content);
    if (body?.code === "edit_conflict") await this.fetchSaved(field, Number(segment));
    if (problem) return { problem };
    if (!segment) document.title = `${body.title} · Transcodio`;
    return { body, saved: segment ? body.text : body.title };
  }

  /** Fetches the text of the other user, which the message has shown: the next attempt replaces it. */
  async fetchSaved(field, segmentId) {
    const response = await fetch(`/api/transcriptions/${this.dataset.id}`).catch(() => null);
    const body = await response?.json().catch(() => null);
    const stored = body?.segments?.find((segment) => segment.id === segmentId);
    if (stored) field.dataset.saved = normalize(stored.text); // otherwise the next attempt fails too
  }

  /** Marks a field as saved. While it has the focus, editing continues. */
  markSaved(field) {
    if (field !== document.activeElement) delete field.dataset.saved;
    field.classList.remove("unsaved");
  }

  showStatus(key, values) {
    this.status.textContent = key && text(this, key, values);
  }
});

function normalize(content) {
  return content.replace(/\s+/g, " ").trim();
}

function isChanged(field) {
  return normalize(field.textContent) !== field.dataset.saved;
}

function close(field) {
  for (const name of ["contenteditable", "role", "aria-label"]) field.removeAttribute(name);
}
