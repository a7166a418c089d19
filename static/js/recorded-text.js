/**
 * <recorded-text>: text that is recognized while somebody speaks. Words that may still change are
 * gray. It follows the end of the text until the reader scrolls up.
 */
import { keepEndInView } from "./keep-end-in-view.js";
import { showPartial } from "./partial-text.js";
import { text } from "./text.js";
import { append } from "./transcript-text.js";

customElements.define("recorded-text", class extends HTMLElement {
  connectedCallback() {
    this.segments = this.querySelector("#segments");
    this.partial = this.querySelector("#partial");
  }

  /** Shows an event of the recording. */
  show(event) {
    const scrollToEnd = keepEndInView(this, text(this, "newText"));
    if (event.type === "metadata") this.segments.lang = event.language;
    if (event.type === "partial") showPartial(this.partial, event);
    if (event.type === "progress") {
      this.partial.replaceChildren();
      append(event.segment).element.classList.add("new-segment");
    }
    if (["partial", "progress"].includes(event.type)) this.removeAttribute("data-empty");
    scrollToEnd();
  }
});
