import { knowWords } from "./load-times.js";
import { text } from "./text.js";

/** The form of <selection-bar> that assigns the selected text to a speaker. */
export class SpeakerSelection {
  /** `speakers` is the <transcript-speakers> of the page. */
  constructor(speakers) {
    this.speakers = speakers;
    this.bar = document.querySelector("selection-bar");
    this.form = this.bar.querySelector("[data-selection]");
    this.bar.addEventListener("shown", () => this.show());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.assign(speakers.chosen(this.form.elements.speaker));
    });
  }

  get isEmpty() {
    return this.bar.isEmpty;
  }

  show() {
    this.form.hidden = !this.speakers.names.size;
    this.speakers.showOptions(this.form.elements.speaker);
  }

  /** Resolves to the problem, which is shown; empty if the speaker was changed. */
  async assign(number) {
    const { parts } = this.bar;
    await this.speakers.settled(); // it may renumber words
    const problem = await knowWords(parts)
      ? await this.speakers.assignParts(parts.map(part).filter(Boolean), number)
      : text(this.speakers, "unreachable");
    if (problem) {
      this.speakers.showStatus(problem, true);
      return problem;
    }
    document.getSelection().removeAllRanges();
    this.speakers.focusOn(parts[0].segment);
    this.bar.changed();
    return "";
  }
}

/**
 * The selection as parts for the API: words that are at least partly selected; null if there are
 * none.
 */
function part({ segment, from, to }) {
  const { id, text, words } = segment;
  if (!words || (!text.slice(0, from).trim() && !text.slice(to).trim())) return { segment: id };
  const selected = words.at.flatMap((start, index) => {
    const end = start + text.slice(start, words.at[index + 1] ?? text.length).trimEnd().length;
    return start < to && end > from ? [index + 1] : [];
  });
  return selected.length ? { segment: id, first_word: selected[0], last_word: selected.at(-1) } : null;
}
