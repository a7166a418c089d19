/**
 * The waveform of the player: RMS as bars, peaks as their outline. It can be zoomed, and a part can
 * be selected by dragging. The server computes the points, so no audio is decoded here.
 */
import RegionsPlugin from "../vendor/wavesurfer-regions.esm.js";
import WaveSurfer from "../vendor/wavesurfer.esm.js";
import { drawBars, inUnits, STEP_PX } from "./waveform-bars.js";

const HEIGHT_PX = 44;
const MAX_PX_PER_S = 100, MAX_WIDTH_PX = 300_000; // zoomed in
const MAX_POINTS = 100_000; // of one response
const REGION = { color: "var(--loop)", drag: false, resize: true, minLength: 0.2 };

export class PlayerWaveform {
  /**
   * `on` has `seek(seconds)` for clicks, `select(start, end)` for a selected part, and
   * `zoom(canZoomOut, canZoomIn)`. `view()` is for each zoom, scroll, and change of the width.
   */
  constructor(container, player, on) {
    const { media, duration } = player;
    Object.assign(this, { container, player, media, duration, on });
    this.pixelsPerSecond = 0; // 0: the whole recording fits
  }

  load(points) {
    return this.player.loadPoints(Math.min(points, MAX_POINTS));
  }

  get pointsWanted() {
    const width = Math.max(this.container.clientWidth, this.pixelsPerSecond * this.duration);
    return Math.ceil(width / STEP_PX);
  }

  /** Draws the waveform for the first time. Throws if that is not possible. */
  async show() {
    const points = await this.load(this.pointsWanted);
    if (!points?.peaks.length) return;
    this.points = points;
    this.regions = RegionsPlugin.create();
    this.surfer = WaveSurfer.create({
      container: this.container,
      media: this.media,
      peaks: inUnits(points),
      duration: this.duration,
      height: HEIGHT_PX,
      cursorWidth: 2,
      autoCenter: true,
      renderFunction: drawBars,
      plugins: [this.regions],
      ...this.colors(),
    });
    await new Promise((resolve) => this.surfer.once("ready", resolve));
    this.isReady = true;
    this.moveTo(this.media.currentTime);
    this.surfer.on("interaction", (seconds) => this.on.seek(seconds));
    for (const name of ["zoom", "scroll", "resize"]) this.surfer.on(name, () => this.on.view());
    this.regions.enableDragSelection(REGION);
    this.regions.on("region-created", (region) => this.selected(region));
    this.regions.on("region-updated", ({ start, end }) => this.on.select(start, end));
    this.container.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => this.surfer.setOptions(this.colors()));
    }
    this.on.zoom(false, this.maxPixelsPerSecond > this.fitting);
  }

  colors() {
    const style = getComputedStyle(this.player);
    const color = (name) => style.getPropertyValue(name).trim();
    return {
      waveColor: color("--wave"),
      progressColor: color("--wave-played"),
      cursorColor: color("--wave-played"),
    };
  }

  /** Moves the cursor; before the media are loaded, they report no change of position. */
  moveTo(seconds) {
    if (this.isReady) this.surfer.setTime(seconds);
  }

  // --- The selected part ----------------------------------------------------------------------

  /** Marks a part, or a moment if it has no length. Without values, nothing is marked. */
  mark(start, end) {
    if (!this.isReady) return;
    const [region, ...others] = this.regions.getRegions();
    if (!others.length && region?.start === start && region?.end === end) return;
    this.isMarking = true;
    this.regions.clearRegions();
    if (start !== undefined) this.regions.addRegion({ ...REGION, start, end });
    this.isMarking = false;
  }

  selected(region) {
    if (this.isMarking) return;
    for (const other of this.regions.getRegions()) if (other !== region) other.remove();
    this.on.select(region.start, region.end);
  }

  // --- The visible part -----------------------------------------------------------------------

  /** `scroll` in pixels. */
  get view() {
    const pixelsPerSecond = Math.max(this.pixelsPerSecond, this.fitting);
    return { pixelsPerSecond, scroll: this.isReady ? this.surfer.getScroll() : 0 };
  }

  /** Scrolls to a moment that is not in view. */
  reveal(seconds) {
    const { pixelsPerSecond, scroll } = this.view;
    const x = seconds * pixelsPerSecond, width = this.container.clientWidth;
    if (this.isReady && (x < scroll || x > scroll + width)) this.surfer.setScroll(x - width / 2);
  }

  // --- Zoom -----------------------------------------------------------------------------------

  get fitting() {
    return this.container.clientWidth / this.duration;
  }

  get maxPixelsPerSecond() {
    return Math.max(this.fitting, Math.min(MAX_PX_PER_S, MAX_WIDTH_PX / this.duration));
  }

  /** Ctrl and the wheel, which is also what a touchpad sends for two fingers. */
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const x = event.clientX - this.container.getBoundingClientRect().left;
    this.zoom(2 ** (-Math.max(-100, Math.min(100, event.deltaY)) / 100), x);
  }

  /**
   * Makes a second `factor` times as wide. The moment at `x` (pixels) stays there; by default, the
   * cursor if it is visible, else the middle.
   */
  zoom(factor, x = this.anchor) {
    if (!this.isReady) return;
    const before = Math.max(this.pixelsPerSecond, this.fitting);
    const wanted = Math.min(before * factor, this.maxPixelsPerSecond);
    const seconds = (this.surfer.getScroll() + x) / before;
    const isWhole = wanted <= this.fitting;
    this.pixelsPerSecond = isWhole ? 0 : wanted;
    this.surfer.zoom(this.pixelsPerSecond);
    this.surfer.setScroll(seconds * wanted - x);
    this.on.zoom(!isWhole, wanted < this.maxPixelsPerSecond);
    this.refine();
  }

  get anchor() {
    const width = this.container.clientWidth;
    const cursor = this.media.currentTime * Math.max(this.pixelsPerSecond, this.fitting);
    const x = cursor - this.surfer.getScroll();
    return x >= 0 && x <= width ? x : width / 2;
  }

  /** Loads more points if there are fewer than bars. */
  async refine() {
    const asked = this.points.asked ?? this.points.peaks.length;
    if (this.isRefining || this.pointsWanted <= asked) return;
    this.isRefining = true;
    const wanted = this.pointsWanted * 2;
    const points = await this.load(wanted);
    this.isRefining = false;
    this.points.asked = wanted; // even after a failure: the present points are still shown
    if (!points) return;
    this.points = { ...points, asked: wanted };
    const scroll = this.surfer.getScroll();
    this.surfer.setOptions({ peaks: inUnits(points), duration: this.duration });
    this.surfer.setScroll(scroll);
  }
}
