/**
 * <found-passage data-query>: a passage in the results of a search, with its words marked. If the
 * first of them would be cut off, the passage begins shortly before it.
 */
import { foundIn, termsOf } from "./word-forms.js";

const LONGEST_WORD = 20; // characters in which its end is searched
const LEADS = [160, 80, 40, 20]; // characters before the first word: as many as there is space for

customElements.define("found-passage", class extends HTMLElement {
  connectedCallback() {
    const content = this.textContent;
    const places = this.querySelector("mark") ? [] : foundIn(content, termsOf(this.dataset.query));
    if (!places.length) return;
    this.show(content, places, 0);
    for (const lead of LEADS) if (this.isCutOff()) this.show(content, places, startOf(content, places[0][0] - lead));
  }

  show(content, places, start) {
    const parts = [start ? "… " : ""];
    let end = start;
    for (const [from, to] of places) {
      const found = document.createElement("mark");
      found.textContent = content.slice(from, to);
      parts.push(content.slice(end, from), found);
      end = to;
    }
    this.replaceChildren(...parts, content.slice(end));
  }

  isCutOff() {
    const box = this.closest(".recording-passage").getBoundingClientRect();
    return this.querySelector("mark").getBoundingClientRect().bottom > box.bottom;
  }
});

/** Where the next word begins, or here if there are no spaces; 0 if the place is before the text. */
function startOf(content, place) {
  if (place <= 0) return 0;
  const space = content.slice(place - 1, place + LONGEST_WORD).indexOf(" ");
  return place + Math.max(0, space);
}
