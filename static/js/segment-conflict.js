/**
 * <segment-conflict>: what else was recognized in a segment where an edit was kept. "Use this" takes
 * that text, "Keep mine" the edit; both are sent as a correction, which resolves the conflict.
 */
import { sendJson } from "./requests.js";

customElements.define("segment-conflict", class extends HTMLElement {
  connectedCallback() {
    this.segment = this.closest("[data-segment]");
    this.field = this.segment.querySelector(".segment-text");
    const other = this.querySelector("q").textContent;
    this.querySelector("[data-use]").addEventListener("click", () => this.resolve(other));
    this.querySelector("[data-keep]").addEventListener("click", () => {
      this.resolve(this.field.textContent.trim());
    });
  }

  async resolve(chosen) {
    const page = this.closest("live-transcript");
    const url = `/api/transcriptions/${page.dataset.id}/segments/${this.segment.dataset.segment}`;
    const content = { text: chosen, expected_text: this.field.textContent.trim() };
    const { body, problem } = await sendJson(this, "PATCH", url, content);
    if (!problem) {
      this.field.textContent = body.text;
      this.segment.querySelector(".timestamp").focus();
      this.remove();
      return;
    }
    this.querySelector("[role=alert]").textContent = problem;
  }
});
