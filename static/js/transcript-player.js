/**
 * <transcript-player>: plays the recording. The waveform is drawn from peaks that the server has
 * computed, so no audio is decoded here. If drawing fails, the native controls are shown.
 */
import WaveSurfer from "../vendor/wavesurfer.esm.js";
import { formatDuration } from "./duration.js";
import { text } from "./text.js";

const SEEK_STEP_S = 5; // of the arrow keys

customElements.define("transcript-player", class extends HTMLElement {
  connectedCallback() {
    this.audio = this.querySelector("audio");
    this.wave = this.querySelector(".player-wave");
    this.audio.addEventListener("error", () => this.reloadOnce());
    this.audio.addEventListener("playing", () => { this.isReloaded = false; });
    this.audio.addEventListener("timeupdate", () => this.showPosition());
    for (const name of ["play", "pause", "ended"]) {
      this.audio.addEventListener(name, () => this.showPlaying());
    }
    for (const name of ["play", "seeking"]) {
      this.audio.addEventListener(name, () => this.resumeFollowing());
    }
    document.addEventListener("click", (event) => this.playFrom(event.target.closest(".timestamp")));
    document.addEventListener("transcript-started", () => this.fetchPeaks());
    this.show(JSON.parse(document.getElementById("peaks").textContent), this.dataset.duration);
  }

  /** Fetches the peaks if the page was opened before the recording was prepared. */
  async fetchPeaks() {
    if (this.surfer) return;
    const response = await fetch(location.href).catch(() => null);
    if (!response?.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
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
        ...this.colors(),
      });
    } catch {
      bar.hidden = true; // use the native controls
      return;
    }
    matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => this.surfer.setOptions(this.colors()));
    this.querySelector(".player-play").addEventListener("click", () => this.toggle());
    this.querySelector("select").addEventListener("change", (event) => {
      this.audio.playbackRate = Number(event.target.value);
    });
    this.wave.setAttribute("aria-valuemax", Math.floor(this.duration));
    this.wave.addEventListener("keydown", (event) => this.keyPressed(event));
    this.showPosition();
  }

  colors() {
    const style = getComputedStyle(this);
    const color = (name) => style.getPropertyValue(name).trim();
    return {
      waveColor: color("--border-strong"),
      progressColor: color("--accent"),
      cursorColor: color("--accent"),
    };
  }

  toggle() {
    if (this.audio.paused) this.play();
    else this.audio.pause();
  }

  play() {
    // Rejected if a pause interrupts it, or if the media cannot be played, which `error` reports.
    this.audio.play().catch(() => {});
  }

  playFrom(timestamp) {
    if (!timestamp || this.hidden) return;
    this.seek(Number(timestamp.closest(".segment").dataset.start));
    this.play();
  }

  seek(seconds) {
    this.audio.currentTime = Math.min(Math.max(0, seconds), this.duration);
    this.showPosition();
  }

  keyPressed(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageDown: -6, PageUp: 6 }[event.key];
    if (steps) this.seek(this.audio.currentTime + steps * SEEK_STEP_S);
    else if (event.key === "Home") this.seek(0);
    else if (event.key === "End") this.seek(this.duration);
    else if (event.key === " " || event.key === "Enter") this.toggle();
    else return;
    event.preventDefault();
  }

  /** Shows the time, and marks the segment that is playing. */
  showPosition() {
    const now = this.audio.currentTime;
    const values = { time: formatDuration(now), duration: formatDuration(this.duration) };
    this.querySelector(".player-time").textContent = `${values.time} / ${values.duration}`;
    this.wave.setAttribute("aria-valuenow", Math.floor(now));
    this.wave.setAttribute("aria-valuetext", text(this, "position", values));
    const current = now > 0 ? segmentAt(now) : null;
    const marked = document.querySelector(".segment[aria-current]");
    if (current === marked) {
      this.lastPlayed ??= current; // playback has started within it
      return;
    }
    marked?.removeAttribute("aria-current");
    current?.setAttribute("aria-current", "true");
    if (current && !this.audio.paused) this.scrollToSegment(current);
  }

  /** Scrolls to a segment, unless the reader has scrolled away or is editing. */
  scrollToSegment(segment) {
    if (segment.hidden) return; // only another speaker is shown
    const isFollowed = !this.lastPlayed || isInView(this.lastPlayed);
    const isEditing = document.activeElement?.isContentEditable;
    if (isFollowed && !isEditing) segment.scrollIntoView({ block: "nearest" });
    this.lastPlayed = segment;
  }

  /** After play or a seek the page follows again, even if the reader had scrolled away. */
  resumeFollowing() {
    this.lastPlayed = null;
    const current = segmentAt(this.audio.currentTime);
    if (current && !this.audio.paused) this.scrollToSegment(current);
  }

  showPlaying() {
    const playing = !this.audio.paused && !this.audio.ended;
    this.classList.toggle("playing", playing);
    this.querySelector(".player-play").setAttribute("aria-label", text(this, playing ? "pause" : "play"));
  }

  /** Continues where it stopped: the URL of a recording in an object storage expires. */
  reloadOnce() {
    const { currentTime, paused } = this.audio;
    if (this.isReloaded || !currentTime) {
      this.showProblem();
      return;
    }
    this.isReloaded = true;
    this.audio.load();
    this.audio.currentTime = currentTime;
    if (!paused) this.play();
  }

  showProblem() {
    this.querySelector(".player-bar").hidden = true;
    this.audio.hidden = true;
    this.querySelector(".player-error").hidden = false;
  }
});

/** The segment that is playing, by binary search: this runs several times a second. */
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

function isInView(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < window.innerHeight;
}
