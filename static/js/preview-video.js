/**
 * <preview-video>: the picture of a recording, without its sound, at the time of the page's player.
 * It stays hidden for recordings without a picture, and if the browser cannot play it.
 */
const MAX_DRIFT_S = 0.15; // between picture and sound

customElements.define("preview-video", class extends HTMLElement {
  connectedCallback() {
    this.video = this.querySelector("video");
    this.player = document.querySelector("transcript-player");
    this.video.addEventListener("loadedmetadata", () => {
      this.hidden = !this.video.videoWidth;
      this.follow();
    });
    for (const name of ["player-time", "player-state"]) {
      this.player?.addEventListener(name, () => this.follow());
    }
  }

  /** Starts loading, once. */
  load() {
    if (this.player && !this.video.getAttribute("src")) this.video.src = this.player.source;
    this.isShown = true;
    this.follow();
  }

  stop() {
    this.isShown = false;
    this.video.pause();
  }

  follow() {
    if (this.hidden || !this.isShown) return;
    const { currentTime, paused, playbackRate } = this.player;
    const drift = Math.abs(this.video.currentTime - currentTime);
    if (drift > (paused ? 0 : MAX_DRIFT_S)) this.video.currentTime = currentTime;
    this.video.playbackRate = playbackRate;
    if (paused) this.video.pause();
    else this.video.play().catch(() => {}); // an immediate pause interrupts it
  }
});
