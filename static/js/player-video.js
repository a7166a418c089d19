/** The picture of a recording, with captions. It stays hidden if the browser finds none. */
import { saveSetting, settings } from "./player-memory.js";
import { register } from "./shortcuts.js";

export class PlayerVideo {
  constructor(player) {
    const { media: video } = player;
    this.button = player.querySelector("[data-video]");
    Object.assign(this, { player, video });
    this.button.addEventListener("click", () => this.toggle());
    register("video", this.button.getAttribute("aria-label"), [], () => this.toggle());
    video.addEventListener("click", () => player.toggle());
    for (const name of ["loadedmetadata", "resize"]) video.addEventListener(name, () => this.show());
    video.preload = "metadata"; // shows whether there is a picture
    document.addEventListener("transcript-started", () => this.loadCaptions());
    document.addEventListener("text-changed", () => this.loadCaptions());
  }

  get hasPicture() {
    return this.video.videoWidth > 0;
  }

  toggle() {
    if (!this.hasPicture) return;
    saveSetting("video", !settings().video);
    this.show();
  }

  show() {
    const isShown = this.hasPicture && settings().video;
    this.button.hidden = !this.hasPicture;
    this.button.setAttribute("aria-pressed", String(isShown));
    this.player.classList.toggle("shows-video", isShown);
    if (isShown && !this.track) this.loadCaptions();
  }

  /** Loads the subtitles as exported. Consecutive corrections cause one request. */
  async loadCaptions() {
    if (!this.hasPicture) return;
    this.track ??= this.video.addTextTrack("captions");
    this.track.mode = "showing";
    this.request?.abort();
    this.request = new AbortController();
    const { signal } = this.request;
    const response = await fetch(`${this.player.url}/subtitles`, { signal }).catch(() => null);
    const report = response?.ok ? await response.json().catch(() => null) : null;
    if (!report || signal.aborted) return;
    for (const cue of [...this.track.cues]) this.track.removeCue(cue);
    for (const { start, end, lines } of report.cues) {
      this.track.addCue(new VTTCue(start, end, lines.map(escaped).join("\n")));
    }
  }
}

/** Escapes text for WebVTT. */
function escaped(line) {
  return line.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
