/**
 * <segment-conflict>: the text that was recognized in a segment whose edit was kept. "Use this"
 * chooses that text, "Keep mine" the edit; both are sent as a correction, which resolves the
 * conflict.
 */
import { sendJson } from "./requests.js";
import { replace, segments } from "./transcript-text.js";

customElements.define("segment-conflict", class extends HTMLElement {
  connectedCallback() {
    if (this.segment) return; // it was moved to another paragraph
    this.segment = segments.find(({ conflict }) => conflict === this);
    const other = this.querySelector("q").textContent;
    this.querySelector("[data-use]").addEventListener("click", () => this.resolve(other));
    this.querySelector("[data-keep]").addEventListener("click", () => this.resolve(this.segment.text));
  }

  async resolve(chosen) {
    const page = this.closest("live-transcript");
    await page.querySelector("transcript-editor").settled?.(); // edits may renumber segments
    if (!this.isConnected) return; // someone else has resolved it
    const { id, text } = this.segment;
    const url = `/api/transcriptions/${page.dataset.id}/segments/${id}`;
    const { body, problem } = await sendJson(this, "PATCH", url, { text: chosen, expected_text: text });
    if (!problem) {
      page.dispatchEvent(new CustomEvent("revision-added"));
      replace(id, id, [body]);
      this.closest(".paragraph").querySelector(".timestamp").focus();
      this.remove();
      return;
    }
    this.querySelector("[role=alert]").textContent = problem;
  }
});
