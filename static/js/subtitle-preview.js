/**
 * <subtitle-preview data-id>: the subtitles of a recording with the chosen options. A screen shows
 * the one at the time of the player; below it are those that break the rules of the profile, with
 * the reason, and the first few. Choosing one that breaks a rule sends the event `subtitle-chosen`.
 */
import { formatDuration } from "./duration.js";
import "./preview-video.js";
import { errorMessage } from "./requests.js";
import { text } from "./text.js";

const DELAY_MS = 300; // after the last change of an option
const FIRST = 4, MAX_FAILING = 50; // subtitles in the lists

customElements.define("subtitle-preview", class extends HTMLElement {
  connectedCallback() {
    this.cues = [];
    this.screen = this.querySelector(".screen-text");
    this.playButton = this.querySelector(".screen-play");
    this.video = this.querySelector("preview-video");
    this.quality = this.querySelector(".quality");
    this.player = document.querySelector("transcript-player");
    this.playButton.addEventListener("click", () => this.player.toggle());
    for (const name of ["player-time", "player-state"]) {
      this.player?.addEventListener(name, () => this.follow());
    }
  }

  /** Loads the subtitles with these options, unless they change again. */
  update(options) {
    clearTimeout(this.timer);
    this.request?.abort();
    this.video.load();
    const delay = this.cues.length ? DELAY_MS : 0;
    this.timer = setTimeout(() => this.load(options), delay);
  }

  /** Forgets the subtitles: the transcript may be edited before it is shown again. */
  stop() {
    clearTimeout(this.timer);
    this.request?.abort();
    this.video.stop();
    this.cues = [];
  }

  async load(options) {
    this.request = new AbortController();
    const { signal } = this.request;
    const url = `/api/transcriptions/${this.dataset.id}/subtitles?${new URLSearchParams(options)}`;
    const response = await fetch(url, { signal }).catch(() => null);
    const report = await response?.json().catch(() => null);
    if (signal.aborted) return;
    if (!response?.ok || !report) {
      this.showProblem(response ? errorMessage(response.status, report) : text(this, "unreachable"));
      return;
    }
    this.screen.classList.toggle("at-top", options.top === "true");
    this.offset = Number(options.offset ?? 0);
    this.stretch = ratio(options.stretch ?? "1");
    this.show(report);
  }

  show(report) {
    this.cues = report.cues;
    const label = document.querySelector("#export-profile").selectedOptions[0].textContent;
    const values = { passed: report.passed, count: report.cues.length, profile: label };
    const failing = report.cues.filter((cue) => cue.violations.length);
    this.quality.classList.remove("field-errors");
    this.quality.textContent = text(this, report.cues.length ? "quality" : "empty", values);
    this.fill(".failing", failing.slice(0, MAX_FAILING), (cue) => this.choose(cue));
    this.fill(".first", report.cues.slice(0, FIRST), (cue) => this.goTo(cue));
    if (failing.length > MAX_FAILING) {
      const rest = document.createElement("li");
      rest.textContent = text(this, "more", { count: failing.length - MAX_FAILING });
      this.querySelector(".failing").append(rest);
    }
    this.follow();
  }

  showProblem(message) {
    this.cues = [];
    this.quality.classList.add("field-errors");
    this.quality.textContent = message;
    this.draw(null);
    for (const list of this.querySelectorAll(".cues")) list.replaceChildren();
  }

  fill(list, cues, action) {
    this.querySelector(list).replaceChildren(...cues.map((cue) => this.item(cue, action)));
  }

  item(cue, action) {
    const item = this.querySelector("template").content.cloneNode(true);
    item.querySelector(".cue-time").textContent = formatDuration(cue.start);
    item.querySelector(".cue-text").textContent = cue.lines.join("\n");
    const reasons = cue.violations.map(({ norm, value, limit }) => text(this, norm, { value, limit }));
    item.querySelector(".cue-reasons").textContent = reasons.join(". ");
    item.querySelector("button").addEventListener("click", () => action(cue));
    return item;
  }

  choose(cue) {
    const detail = { segment: cue.segment, time: this.inRecording(cue.start) };
    this.dispatchEvent(new CustomEvent("subtitle-chosen", { bubbles: true, detail }));
  }

  goTo(cue) {
    if (this.canPlay) this.player.seek(this.inRecording(cue.start));
    this.draw(cue);
  }

  // --- The screen -----------------------------------------------------------------------------

  get canPlay() {
    return Boolean(this.player && !this.player.hidden && this.player.duration);
  }

  /** The time in the recording of a time in the file. */
  inRecording(seconds) {
    return (seconds - this.offset) / this.stretch;
  }

  /** Draws the subtitle of this moment. */
  follow() {
    if (!this.cues.length) {
      this.draw(null);
      return;
    }
    const isPlaying = this.canPlay && !this.player.paused;
    this.playButton.hidden = !this.canPlay;
    this.playButton.classList.toggle("playing", isPlaying);
    this.playButton.setAttribute("aria-label", text(this, isPlaying ? "pause" : "play"));
    const now = (this.canPlay ? this.player.currentTime : 0) * this.stretch + this.offset;
    const next = this.cues.find((cue) => cue.end > now);
    // While playback is paused, there is always a subtitle to see.
    this.draw(next && (next.start <= now || !isPlaying) ? next : null);
  }

  draw(cue) {
    if (cue === this.drawn) return;
    this.drawn = cue;
    this.screen.replaceChildren(...(cue?.lines ?? []).map((line) => {
      const span = document.createElement("span");
      span.dir = "auto";
      span.textContent = line;
      return span;
    }));
  }
});

/** The value of a factor, or of a ratio such as 25/23.976. */
function ratio(stretch) {
  const [above, below = 1] = stretch.split("/").map(Number);
  return above / below;
}
