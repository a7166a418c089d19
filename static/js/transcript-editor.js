/**
 * <transcript-editor data-id>: lets the title and the sentences of a finished transcript be corrected
 * where they stand. Each is sent when it is left; Enter goes on to the next one, Escape takes back.
 * `data-before` of a field is what the server has; what differs from it is not saved yet.
 */
import { csrfToken, refusal } from "./request.js";

customElements.define("transcript-editor", class extends HTMLElement {
  connectedCallback() {
    this.button = this.querySelector("button");
    this.status = this.querySelector("[role=status]");
    this.page = this.closest("live-transcript");
    this.sending = new Map(); // fields, and what is on its way for them
    this.button.addEventListener("click", () => this.turn(this.button.ariaPressed !== "true"));
    this.page.addEventListener("focusin", (event) => this.begin(event.target));
    this.page.addEventListener("focusout", (event) => this.leave(event.target));
    this.page.addEventListener("keydown", (event) => this.steer(event));
    window.addEventListener("beforeunload", (event) => {
      if (this.unsaved.length) event.preventDefault();
    });
  }

  get fields() {
    return [...this.page.querySelectorAll("h1, .segment-text")];
  }

  get unsaved() {
    return [...this.page.querySelectorAll("[data-before]")].filter(isChanged);
  }

  async turn(on) {
    if (!on) {
      document.activeElement?.blur();
      await Promise.all(this.unsaved.map((field) => this.save(field)));
      if (this.unsaved.length) return; // it stays open, with the reason beside the button
    }
    this.button.ariaPressed = String(on);
    this.button.textContent = on ? "Done" : "Edit";
    this.page.classList.toggle("editing", on);
    for (const field of this.fields) {
      if (on) open(field);
      else close(field);
    }
    this.say(on ? "Change what is wrong. Every sentence is saved when you leave it." : "");
  }

  // --- One field ------------------------------------------------------------------------------

  begin(field) {
    if (field.isContentEditable) field.dataset.before ??= tidy(field.textContent);
  }

  steer(event) {
    const field = event.target;
    if (!field.isContentEditable || event.isComposing) return;
    if (event.key === "Escape") {
      field.textContent = field.dataset.before;
      field.blur();
    } else if (event.key === "Enter") {
      event.preventDefault();
      const all = this.fields;
      const next = all[all.indexOf(field) + 1];
      if (next) next.focus();
      else field.blur();
    }
  }

  leave(field) {
    if (field.dataset.before === undefined) return;
    const isEmpty = !tidy(field.textContent);
    if (isEmpty) field.textContent = field.dataset.before;
    if (isChanged(field) || this.sending.has(field)) {
      this.save(field);
      return;
    }
    if (field.classList.contains("unsaved")) this.say(""); // it was taken back
    this.settle(field);
    if (isEmpty) this.say("It cannot be empty: the words are as they were.");
  }

  /** One request at a time: what is typed meanwhile goes out after it. */
  save(field) {
    if (!this.sending.has(field)) {
      this.sending.set(field, this.send(field).finally(() => this.sending.delete(field)));
    }
    return this.sending.get(field);
  }

  async send(field) {
    this.say("Saving …");
    const text = tidy(field.textContent);
    const { problem, saved } = await this.store(field, text);
    if (problem) {
      field.classList.add("unsaved");
      this.say(`Not saved: ${problem} Your words stay here; leave the field again to try once more.`);
      return;
    }
    field.dataset.before = saved;
    if (field !== document.activeElement) {
      if (tidy(field.textContent) !== text) return this.send(field);
      field.textContent = saved;
    }
    this.settle(field);
    this.say("Saved.");
  }

  async store(field, text) {
    const segment = field.closest("[data-segment]")?.dataset.segment;
    const path = segment ? `/segments/${segment}` : "";
    const answer = await fetch(`/api/transcriptions/${this.dataset.id}${path}`, {
      method: "PATCH",
      headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
      body: JSON.stringify(segment ? { text, expected_text: field.dataset.before } : { title: text }),
    }).catch(() => null);
    const body = await answer?.json().catch(() => null);
    if (!answer) return { problem: "The server cannot be reached." };
    if (body?.code === "edit_conflict") await this.catchUp(field, Number(segment));
    if (!answer.ok || !body) return { problem: refusal(answer.status, body) };
    if (!segment) document.title = `${body.title} · Transcodio`;
    return { saved: segment ? body.text : body.title };
  }

  /** What somebody else has written there: whoever has read that may replace it. */
  async catchUp(field, number) {
    const answer = await fetch(`/api/transcriptions/${this.dataset.id}`).catch(() => null);
    const body = await answer?.json().catch(() => null);
    const theirs = body?.segments?.find((segment) => segment.id === number);
    if (theirs) field.dataset.before = tidy(theirs.text); // else the next attempt is refused as well
  }

  /** The server has it. Somebody who is still there, or there again, may go on typing. */
  settle(field) {
    if (field !== document.activeElement) delete field.dataset.before;
    field.classList.remove("unsaved");
  }

  say(text) {
    this.status.textContent = text;
  }
});

function tidy(text) {
  return text.replace(/\s+/g, " ").trim();
}

function isChanged(field) {
  return tidy(field.textContent) !== field.dataset.before;
}

function open(field) {
  try {
    field.contentEditable = "plaintext-only";
  } catch {
    field.contentEditable = "true"; // older browsers; what is pasted is read as text in any case
  }
  field.setAttribute("role", "textbox");
  const stamp = field.closest(".segment")?.querySelector(".stamp").textContent;
  field.setAttribute("aria-label", stamp ? `What is said at ${stamp.trim()}` : "Title");
}

function close(field) {
  for (const name of ["contenteditable", "role", "aria-label"]) field.removeAttribute(name);
}
