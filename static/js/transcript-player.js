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
    for (const name of ["timeupdate", "seeked"]) {
      this.audio.addEventListener(name, () => this.showPosition());
    }
    for (const name of ["play", "pause", "ended"]) {
      this.audio.addEventListener(name, () => this.showPlaying());
    }
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

  get paused() {
    return this.audio.paused;
  }

  get currentTime() {
    return this.audio.currentTime;
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

  /** Shows the time, and tells others. */
  showPosition() {
    const now = this.audio.currentTime;
    const values = { time: formatDuration(now), duration: formatDuration(this.duration) };
    this.querySelector(".player-time").textContent = `${values.time} / ${values.duration}`;
    this.wave.setAttribute("aria-valuenow", Math.floor(now));
    this.wave.setAttribute("aria-valuetext", text(this, "position", values));
    this.dispatchEvent(new CustomEvent("player-time", { detail: now }));
  }

  showPlaying() {
    const playing = !this.audio.paused && !this.audio.ended;
    this.classList.toggle("playing", playing);
    this.dispatchEvent(new CustomEvent("player-state"));
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
