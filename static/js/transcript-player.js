/**
 * <transcript-player>: the recording under its transcript. The waveform is drawn from peaks that the
 * server has computed, so nothing is decoded here, and the plain <audio> stays where drawing fails.
 */
import WaveSurfer from "../vendor/wavesurfer.esm.js";
import { clock } from "./clock.js";

const STEP = 5; // seconds that an arrow key moves

customElements.define("transcript-player", class extends HTMLElement {
  connectedCallback() {
    this.audio = this.querySelector("audio");
    this.wave = this.querySelector(".player-wave");
    this.audio.addEventListener("error", () => this.showProblem());
    this.audio.addEventListener("timeupdate", () => this.follow());
    for (const name of ["play", "pause", "ended"]) {
      this.audio.addEventListener(name, () => this.showPlaying());
    }
    document.addEventListener("click", (event) => this.playFrom(event.target.closest(".stamp")));
    document.addEventListener("transcript-started", () => this.fetchPeaks());
    this.show(JSON.parse(document.getElementById("peaks").textContent), this.dataset.duration);
  }

  /** The page was opened before the recording was prepared: by now the server knows its peaks. */
  async fetchPeaks() {
    if (this.surfer) return;
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const peaks = JSON.parse(page.getElementById("peaks").textContent);
    this.show(peaks, page.querySelector("transcript-player").dataset.duration);
  }

  show(peaks, duration) {
    this.duration = Number(duration);
    if (this.surfer || !peaks.length || !this.duration) return;
    this.hidden = false;
    const bar = this.querySelector(".player-bar");
    bar.hidden = false;
    try {
      this.surfer = WaveSurfer.create({
        container: this.wave,
        media: this.audio,
        peaks: [peaks.map((peak) => peak / 100)],
        duration: this.duration,
        height: 44,
        barWidth: 2,
        barGap: 1,
        barRadius: 2,
        cursorWidth: 2,
        ...this.colours(),
      });
    } catch {
      bar.hidden = true; // the browser's own controls take over
      return;
    }
    matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => this.surfer.setOptions(this.colours()));
    this.querySelector(".player-play").addEventListener("click", () => this.toggle());
    this.querySelector("select").addEventListener("change", (event) => {
      this.audio.playbackRate = Number(event.target.value);
    });
    this.wave.setAttribute("aria-valuemax", Math.floor(this.duration));
    this.wave.addEventListener("keydown", (event) => this.steer(event));
    this.follow();
  }

  colours() {
    const style = getComputedStyle(this);
    const colour = (name) => style.getPropertyValue(name).trim();
    return {
      waveColor: colour("--line-strong"),
      progressColor: colour("--accent"),
      cursorColor: colour("--accent"),
    };
  }

  toggle() {
    if (this.audio.paused) this.play();
    else this.audio.pause();
  }

  play() {
    // Refused when the media cannot be played, of which `error` tells, or interrupted by a pause.
    this.audio.play().catch(() => {});
  }

  playFrom(stamp) {
    if (!stamp || this.hidden) return;
    this.seek(Number(stamp.closest(".segment").dataset.start));
    this.play();
  }

  seek(seconds) {
    this.audio.currentTime = Math.min(Math.max(0, seconds), this.duration);
    this.follow();
  }

  steer(event) {
    const move = { ArrowLeft: -STEP, ArrowRight: STEP, PageDown: -6 * STEP, PageUp: 6 * STEP }[event.key];
    if (move) this.seek(this.audio.currentTime + move);
    else if (event.key === "Home") this.seek(0);
    else if (event.key === "End") this.seek(this.duration);
    else if (event.key === " " || event.key === "Enter") this.toggle();
    else return;
    event.preventDefault();
  }

  /** Shows where we are: the time, and the segment that is being heard. */
  follow() {
    const now = this.audio.currentTime;
    this.querySelector(".player-time").textContent = `${clock(now)} / ${clock(this.duration)}`;
    this.wave.setAttribute("aria-valuenow", Math.floor(now));
    this.wave.setAttribute("aria-valuetext", `${clock(now)} of ${clock(this.duration)}`);
    const heard = now > 0 ? segmentAt(now) : null;
    const marked = document.querySelector(".segment[aria-current]");
    if (heard === marked) return;
    marked?.removeAttribute("aria-current");
    heard?.setAttribute("aria-current", "true");
    if (heard && !this.audio.paused) heard.scrollIntoView({ block: "nearest" });
  }

  showPlaying() {
    const playing = !this.audio.paused && !this.audio.ended;
    this.classList.toggle("playing", playing);
    this.querySelector(".player-play").setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  showProblem() {
    this.querySelector(".player-bar").hidden = true;
    this.audio.hidden = true;
    this.querySelector(".player-problem").hidden = false;
  }
});

function segmentAt(seconds) {
  for (const segment of document.querySelectorAll("#segments .segment")) {
    if (seconds < Number(segment.dataset.end)) {
      return seconds >= Number(segment.dataset.start) - 0.05 ? segment : null;
    }
  }
  return null;
}
