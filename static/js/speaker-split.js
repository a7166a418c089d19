/**
 * The dialog that shows which segments of a speaker belong to which of two voices, as soon as the
 * server has compared them, and splits the speaker.
 */
import { formatDuration } from "./duration.js";
import { text } from "./text.js";

const POLL_MS = 1000;

export class SpeakerSplit {
  /** `speakers` is the <transcript-speakers> that the dialog is in. */
  constructor(speakers) {
    this.speakers = speakers;
    this.dialog = speakers.querySelector(".split-dialog");
    if (!this.dialog) return; // without audio
    this.player = document.querySelector("transcript-player");
    this.button = this.dialog.querySelector("[type=submit]");
    this.dialog.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.closed());
    this.dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.split();
    });
    this.dialog.addEventListener("click", ({ target }) => {
      const { start, end } = target.closest("[data-start]")?.dataset ?? {};
      if (start) this.play(Number(start), Number(end));
    });
  }

  /** Resolves to the problem if the voices cannot be compared. `item` is a segment of the speaker. */
  async open(number, item) {
    await this.speakers.settled();
    const { body, problem } = await this.speakers.proposal("POST", number);
    if (problem) return problem;
    [this.number, this.item, this.isPlaying] = [number, item, false];
    const name = { speaker: this.speakers.label(number) };
    this.dialog.querySelector("h2").textContent = text(this.dialog, "title", name);
    this.dialog.querySelector("[data-waiting] p").textContent = text(this.dialog, "waiting", name);
    this.dialog.showModal();
    this.show(body);
    return "";
  }

  show(proposal) {
    this.proposal = proposal;
    const { state, clear, error, voices } = proposal;
    this.dialog.querySelector("[data-waiting]").hidden = state !== "waiting";
    this.dialog.querySelector("[data-voices]").hidden = state !== "ready";
    this.dialog.querySelector("[data-unclear]").hidden = clear !== false;
    this.showProblem(error ?? "");
    this.button.disabled = state !== "ready";
    if (state === "waiting") this.timer = setTimeout(() => this.poll(), POLL_MS);
    for (const [index, section] of [...this.dialog.querySelectorAll("section")].entries()) {
      if (voices[index]) this.showVoice(section, voices[index], index === 1);
    }
  }

  async poll() {
    const { body, problem } = await this.speakers.proposal("GET", this.number);
    if (!this.dialog.open) return;
    if (problem) this.show({ state: "failed", error: problem, voices: [] });
    else this.show(body);
  }

  showVoice(section, { segments, seconds, examples }, isNew) {
    const { names } = this.speakers;
    const number = isNew ? Math.max(...names.keys()) + 1 : this.number;
    section.dataset.speaker = number;
    section.querySelector("h3").textContent = isNew ? text(this.dialog, "new") : this.speakers.label(number);
    section.querySelector("p").textContent = text(this.dialog, segments.length === 1 ? "segment" : "segments", {
      count: segments.length, time: formatDuration(seconds),
    });
    section.querySelector("ul").replaceChildren(...examples.map((example) => this.row(example)));
  }

  row({ start, end, text: quote }) {
    const row = this.speakers.clone("[data-example]");
    const button = row.querySelector("button");
    Object.assign(button.dataset, { start, end });
    button.querySelector("[data-time]").textContent = formatDuration(start);
    row.querySelector("q").textContent = quote;
    return row;
  }

  play(start, end) {
    this.isPlaying = true;
    this.player.playRange(start, end);
  }

  async split() {
    if (this.button.disabled) return;
    this.button.disabled = true; // until the next proposal
    const { voices, revision } = this.proposal;
    const problem = await this.speakers.split(this.number, voices[1].segments, revision);
    if (problem) this.showProblem(problem);
    else this.dialog.close();
  }

  showProblem(message) {
    this.dialog.querySelector("[role=alert]").textContent = message;
  }

  closed() {
    clearTimeout(this.timer);
    if (this.isPlaying) this.player.pause();
    this.speakers.focusOn(this.item);
  }
}
