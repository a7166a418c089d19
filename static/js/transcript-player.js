/**
 * <transcript-player data-id data-duration>: plays the recording. Other modules use `seek`, `play`,
 * `pause`, `toggle`, `playRange`, `paused`, `currentTime`, `duration`, `playbackRate` and `source`,
 * and these events: `player-time` (detail: seconds), at most 20 times a second during playback and
 * after each jump; `player-state` when it starts or stops, or the speed changes.
 */
import { PlayerControls } from "./player-controls.js";
import { PlayerLoop } from "./player-loop.js";
import { savedPosition, savePosition, settings } from "./player-memory.js";
import { connectMediaSession } from "./player-session.js";
import { PlayerVideo } from "./player-video.js";
import { isReachable } from "./requests.js";

const MIN_INTERVAL_MS = 50; // between two events `player-time`
const SAVE_INTERVAL_MS = 5000; // of the position
const END_S = 1; // a recording that was played up to here starts again

customElements.define("transcript-player", class extends HTMLElement {
  connectedCallback() {
    this.media = this.querySelector("audio, video");
    this.url = `/api/transcriptions/${this.dataset.id}`;
    this.shownAt = this.savedAt = 0; // performance.now()
    const on = (name, action) => this.media.addEventListener(name, action);
    on("error", () => this.reloadOnce());
    on("playing", () => { this.isReloaded = false; this.showProblem(false); });
    on("timeupdate", () => this.moved());
    on("ended", () => this.ended());
    for (const name of ["play", "pause", "ended", "ratechange"]) on(name, () => this.stateChanged());
    for (const name of ["pagehide", "visibilitychange"]) {
      window.addEventListener(name, () => this.savePosition(), { capture: true });
    }
    document.addEventListener("transcript-started", () => this.showLater());
    if (!this.hidden) this.show(Number(this.dataset.duration));
  }

  /** The page was opened before the recording was prepared. */
  async showLater() {
    if (this.controls) return;
    const { peaks, duration } = (await this.loadPoints(1)) ?? {};
    if (peaks?.length && !this.controls) this.show(duration);
  }

  show(duration) {
    this.duration = duration;
    this.hidden = false;
    this.loop = new PlayerLoop(this);
    this.controls = new PlayerControls(this);
    if (this.media instanceof HTMLVideoElement) new PlayerVideo(this);
    connectMediaSession(this);
    const position = savedPosition(this.dataset.id);
    if (position < duration && !location.hash) this.jump(position);
  }

  /** Resolves to the `rms` and `peaks` of the waveform, or to null. */
  async loadPoints(count) {
    const response = await fetch(`${this.url}/waveform?points=${count}`).catch(() => null);
    return response?.ok ? response.json().catch(() => null) : null;
  }

  // --- For other modules ----------------------------------------------------------------------

  get paused() {
    return this.media.paused || this.media.ended;
  }

  get currentTime() {
    return this.media.currentTime;
  }

  get playbackRate() {
    return this.media.playbackRate;
  }

  set playbackRate(rate) {
    this.media.preservesPitch = true;
    this.media.defaultPlaybackRate = this.media.playbackRate = rate; // the rate after a reload
  }

  get source() {
    return this.media.src;
  }

  play() {
    this.isWanted = true;
    if (this.media.error) this.load(); // while only its duration was read
    // Rejected if a pause interrupts it, or if the media cannot be played, which `error` reports.
    this.media.play().catch(() => {});
  }

  /** Stops, and goes back a little: to hear the last words again when it continues. */
  pause() {
    if (this.paused) return;
    this.media.pause();
    const start = this.loop?.startOf(this.currentTime) ?? 0;
    this.seek(Math.max(start, this.currentTime - settings().rewind));
  }

  toggle() {
    if (this.paused) this.play();
    else this.pause();
  }

  seek(seconds) {
    if (!this.controls) return;
    this.loop.stopAt = null;
    this.jump(seconds);
  }

  /** Plays a part once, or repeats it until the loop is removed. */
  playRange(start, end, { loop = false } = {}) {
    if (!this.controls) return;
    if (loop) this.loop.set(start, end);
    this.seek(start);
    if (!loop) this.loop.stopAt = end;
    this.play();
  }

  // --- Playback -------------------------------------------------------------------------------

  jump(seconds) {
    this.media.currentTime = Math.min(Math.max(0, seconds), this.duration);
    this.controls.waveform.moveTo(this.currentTime);
    this.loop.last = this.currentTime;
    this.showTime();
  }

  /** For each frame that the browser draws, and a few times per second if it draws none. */
  moved() {
    cancelAnimationFrame(this.frame);
    if (!this.controls) return;
    this.followLoop();
    if (performance.now() - this.shownAt >= MIN_INTERVAL_MS) this.showTime();
    if (performance.now() - this.savedAt >= SAVE_INTERVAL_MS) this.savePosition();
    if (!this.paused) this.frame = requestAnimationFrame(() => this.moved());
  }

  followLoop() {
    const { isOver, repeatFrom } = this.loop.check(this.currentTime);
    if (isOver) this.media.pause();
    else if (repeatFrom !== null) this.jump(repeatFrom);
  }

  ended() {
    if (!this.controls || !this.loop.isSet || this.loop.end < this.duration - END_S) return;
    this.jump(this.loop.start);
    this.play();
  }

  showTime() {
    this.shownAt = performance.now();
    this.controls.showTime();
    this.dispatchEvent(new CustomEvent("player-time", { bubbles: true, detail: this.currentTime }));
  }

  stateChanged() {
    if (!this.controls) return;
    this.controls.showState();
    this.moved();
    if (this.paused) this.savePosition();
    this.dispatchEvent(new CustomEvent("player-state", { bubbles: true }));
  }

  savePosition() {
    if (!this.isWanted) return; // nobody wants to play it
    this.savedAt = performance.now();
    const isHeard = this.currentTime >= this.duration - END_S;
    savePosition(this.dataset.id, isHeard ? 0 : this.currentTime);
  }

  // --- Problems -------------------------------------------------------------------------------

  /** Continues where it stopped: the URL of a recording in an object storage expires. */
  async reloadOnce() {
    if (!this.isWanted && !this.media.controls) return; // play() tries again
    if (this.isReloaded || !this.currentTime) {
      if (await isReachable(this.source)) this.showProblem(true); // else play() tries again
      return;
    }
    this.isReloaded = true;
    const { paused } = this.media;
    this.load();
    if (!paused) this.play();
  }

  load() {
    const { currentTime } = this.media;
    this.media.load();
    this.media.currentTime = currentTime;
  }

  showProblem(isShown) {
    const error = this.querySelector(".player-error");
    if (error.hidden !== isShown) return;
    this.querySelector(".player-bar").hidden = this.media.hidden = isShown;
    error.hidden = !isShown;
  }
});
