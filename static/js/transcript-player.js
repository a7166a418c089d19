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
    for (const name of ["play", "seeking"]) {
      this.audio.addEventListener(name, () => this.goThere());
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
    if (heard === marked) {
      this.heard ??= heard; // not known yet where it began to play
      return;
    }
    marked?.removeAttribute("aria-current");
    heard?.setAttribute("aria-current", "true");
    if (heard && !this.audio.paused) this.keepInSight(heard);
  }

  /** Unless its reader has scrolled away from what was heard last, or is writing. */
  keepInSight(heard) {
    const isFollowed = !this.heard || isInSight(this.heard);
    if (isFollowed && !document.activeElement?.isContentEditable) heard.scrollIntoView({ block: "nearest" });
    this.heard = heard;
  }

  /** Somebody has asked for this place: from here on it is followed again. */
  goThere() {
    this.heard = null;
    const heard = segmentAt(this.audio.currentTime);
    if (heard && !this.audio.paused) this.keepInSight(heard);
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

/** The first segment that has not ended yet, found by halves: this is asked several times a second. */
function segmentAt(seconds) {
  const all = document.getElementById("segments").children;
  let low = 0, high = all.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Number(all[middle].dataset.end) <= seconds) low = middle + 1;
    else high = middle;
  }
  const segment = all[low];
  return segment && seconds >= Number(segment.dataset.start) - 0.05 ? segment : null;
}

function isInSight(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < window.innerHeight;
}
