/**
 * <transcript-import data-id>: a dialog that replaces the text of the transcript with that of a
 * file or with pasted text. A problem is shown below the field that it concerns. A text that seems
 * to belong to another recording can be imported anyway.
 */
import { csrfToken, errorMessage } from "./requests.js";
import { text } from "./text.js";

customElements.define("transcript-import", class extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    this.file = this.querySelector("input");
    this.pasted = this.querySelector("textarea");
    this.status = this.querySelector("[role=status]");
    this.button("open").addEventListener("click", () => this.dialog.showModal());
    this.button("close").addEventListener("click", () => this.dialog.close());
    this.button("force").addEventListener("click", () => this.send(true));
    this.button("done").addEventListener("click", () => location.reload());
    this.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(false);
    });
    this.file.addEventListener("change", () => this.showProblem(this.file, ""));
    this.pasted.addEventListener("input", () => this.showProblem(this.pasted, ""));
  }

  button(name) {
    return this.querySelector(`[data-${name}]`);
  }

  async send(force) {
    const file = this.file.files[0];
    const field = file || !this.pasted.value.trim() ? this.file : this.pasted;
    if (!file && field === this.file) {
      this.showProblem(field, text(this, "noText"));
      return;
    }
    this.showProblem(field, "");
    this.setBusy(true);
    const form = new FormData();
    form.append("file", file ?? new File([this.pasted.value], "pasted.txt"));
    const response = await fetch(`/api/transcriptions/${this.dataset.id}/import?force=${force}`, {
      method: "POST",
      headers: { "X-CSRFToken": csrfToken() },
      body: form,
    }).catch(() => null);
    const body = await response?.json().catch(() => null);
    this.setBusy(false);
    if (response?.ok && body) this.showResult(body.imported);
    else this.refused(field, response, body);
  }

  refused(field, response, body) {
    const problem = response ? errorMessage(response.status, body) : text(this, "unreachable");
    this.showProblem(field, problem);
    this.button("force").hidden = body?.code !== "different_text";
    field.focus();
  }

  showResult(counts) {
    if (!this.dialog.open) return location.reload(); // closed by Escape meanwhile
    this.status.textContent = text(this, "imported", counts);
    for (const name of ["fields", "close", "force"]) this.button(name).hidden = true;
    this.querySelector("[type=submit]").hidden = true;
    this.button("done").hidden = false;
    this.button("done").focus();
    this.dialog.addEventListener("close", () => location.reload()); // by Escape
  }

  showProblem(field, problem) {
    for (const each of [this.file, this.pasted]) {
      const isWrong = each === field && problem !== "";
      each.setAttribute("aria-invalid", String(isWrong));
      this.querySelector(`#${each.id}-problem`).textContent = isWrong ? problem : "";
    }
    this.button("force").hidden = true;
  }

  setBusy(on) {
    this.status.textContent = on ? text(this, "importing") : "";
    for (const button of this.querySelectorAll(".actions button")) button.disabled = on;
  }
});
