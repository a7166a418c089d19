/**
 * <transcript-editor data-id>: lets the title and the sentences of a finished transcript be corrected
 * where they stand. Each is sent when it is left; Enter goes on to the next one, Escape takes back.
 */
customElements.define("transcript-editor", class extends HTMLElement {
  connectedCallback() {
    this.button = this.querySelector("button");
    this.status = this.querySelector("[role=status]");
    this.page = this.closest("live-transcript");
    this.waiting = new Set(); // fields whose text the server does not have yet
    this.button.addEventListener("click", () => this.turn(this.button.ariaPressed !== "true"));
    this.page.addEventListener("focusin", (event) => this.begin(event.target));
    this.page.addEventListener("focusout", (event) => this.leave(event.target));
    this.page.addEventListener("keydown", (event) => this.steer(event));
    window.addEventListener("beforeunload", (event) => {
      if (this.waiting.size) event.preventDefault();
    });
  }

  get fields() {
    return [...this.page.querySelectorAll("h1, .segment-text")];
  }

  turn(on) {
    if (!on) document.activeElement?.blur();
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
    if (field.isContentEditable) field.dataset.before ??= field.textContent;
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
    if (!field.isContentEditable || field.dataset.before === undefined) return;
    const text = field.textContent.replace(/\s+/g, " ").trim();
    if (!text || text === field.dataset.before) {
      field.textContent = field.dataset.before;
      this.settle(field);
      if (!text) this.say("It cannot be empty: the words are as they were.");
      return;
    }
    this.save(field, text);
  }

  async save(field, text) {
    this.waiting.add(field);
    this.say("Saving …");
    const segment = field.closest("[data-segment]")?.dataset.segment;
    const path = segment ? `/segments/${segment}` : "";
    const answer = await fetch(`/api/transcriptions/${this.dataset.id}${path}`, {
      method: "PATCH",
      headers: {
        "Content-Type": "application/json",
        "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value,
      },
      body: JSON.stringify(segment ? { text } : { title: text }),
    }).catch(() => null);
    const body = await answer?.json().catch(() => null);
    if (!answer?.ok) {
      field.classList.add("unsaved");
      const reason = body?.detail ?? "The server cannot be reached.";
      this.say(`Not saved: ${reason} Your words stay here; leave the field again to try once more.`);
      return;
    }
    field.textContent = segment ? body.text : body.title;
    if (!segment) document.title = `${body.title} · Transcodio`;
    this.settle(field);
    this.say("Saved.");
  }

  settle(field) {
    delete field.dataset.before;
    field.classList.remove("unsaved");
    this.waiting.delete(field);
  }

  say(text) {
    this.status.textContent = text;
  }
});

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
