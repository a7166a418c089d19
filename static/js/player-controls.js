/**
 * The display of the player: its buttons, the time, and the waveform. If the waveform cannot be
 * drawn, the native controls are shown.
 */
import { formatDuration } from "./duration.js";
import { saveSetting, settings } from "./player-memory.js";
import { PlayerNotes } from "./player-notes.js";
import { PlayerWaveform } from "./player-waveform.js";
import { register } from "./shortcuts.js";
import { text } from "./text.js";

const ZOOM = 2; // of one step
const SLIDER_STEPS = { ArrowLeft: -1, ArrowRight: 1, PageDown: -6, PageUp: 6 }; // times the step

export class PlayerControls {
  constructor(player) {
    this.player = player;
    const find = (name) => player.querySelector(`.player-${name}`);
    Object.assign(this, { bar: find("bar"), wave: find("wave"), time: find("time"), zoomers: {} });
    this.speed = find("speed").querySelector("select");
    this.status = player.querySelector("[role=status]");
    this.bar.hidden = false;
    player.media.controls = false;
    this.registerCommands();
    for (const button of document.querySelectorAll("transcript-player [data-action], [data-zoom]")) {
      const { action, zoom } = button.dataset;
      button.addEventListener("click", () => this.actions[action ?? zoom]());
    }
    this.speed.addEventListener("change", () => this.setSpeed(Number(this.speed.value)));
    this.setSpeed(settings().speed);
    this.wave.setAttribute("aria-valuemax", Math.floor(player.duration));
    this.wave.addEventListener("keydown", (event) => this.sliderKey(event));
    document.addEventListener("player-settings", () => this.showStep());
    new ResizeObserver(() => this.showHeight()).observe(this.bar);
    this.showStep();
    this.showTime();
    this.showWaveform().catch(() => this.showNativeControls());
  }

  // --- Commands -------------------------------------------------------------------------------

  registerCommands() {
    const { player } = this;
    const skip = (sign) => () => player.seek(player.currentTime + sign * settings().step);
    this.actions = {
      "play-pause": (event) => { if (!event?.repeat) player.toggle(); },
      back: skip(-1),
      forward: skip(1),
      slower: () => this.changeSpeed(-1),
      faster: () => this.changeSpeed(1),
      loop: () => player.loop.next(),
      "zoom-in": () => this.waveform.zoom(ZOOM),
      "zoom-out": () => this.waveform.zoom(1 / ZOOM),
    };
    const keys = {
      "play-pause": ["F4", "Alt+K", "Space"],
      back: ["F2", "Alt+J"],
      forward: ["F8", "Alt+L"],
      slower: ["Alt+,"],
      faster: ["Alt+."],
      loop: ["Alt+R"],
      "zoom-in": ["Alt+="],
      "zoom-out": ["Alt+-"],
    };
    for (const [name, action] of Object.entries(this.actions)) {
      register(name, text(player, name.replace(/-(.)/, (_, letter) => letter.toUpperCase())), keys[name], action);
    }
  }

  /** The keys of a slider. */
  sliderKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { player } = this;
    const steps = SLIDER_STEPS[event.key];
    if (steps) player.seek(player.currentTime + steps * settings().step);
    else if (event.key === "Home") player.seek(0);
    else if (event.key === "End") player.seek(player.duration);
    else if (event.key === "Enter") player.toggle();
    else return;
    event.preventDefault();
  }

  setSpeed(rate) {
    const speeds = [...this.speed.options].map(({ value }) => Number(value));
    this.speed.selectedIndex = Math.max(0, speeds.findLastIndex((value) => value <= rate));
    this.player.playbackRate = Number(this.speed.value);
    if (this.player.playbackRate !== settings().speed) saveSetting("speed", this.player.playbackRate);
  }

  changeSpeed(step) {
    const option = this.speed.options[this.speed.selectedIndex + step];
    if (option) this.setSpeed(Number(option.value));
    this.say(text(this.player, "speed", { speed: this.speed.value }));
  }

  /** Announces a message to screen readers. */
  say(message) {
    this.status.textContent = message;
  }

  // --- Display --------------------------------------------------------------------------------

  /** For elements that must stay above the player. */
  showHeight() {
    const height = `${this.player.offsetHeight}px`;
    document.documentElement.style.setProperty("--player-height", height);
  }

  showStep() {
    const { step } = settings();
    for (const [name, sign] of [["back", "−"], ["forward", "+"]]) {
      const button = this.player.querySelector(`[data-action=${name}]`);
      button.textContent = `${sign}${step}`;
      button.setAttribute("aria-label", text(this.player, `${name}Seconds`, { seconds: step }));
    }
  }

  showTime() {
    const { player, wave } = this;
    const second = Math.floor(player.currentTime);
    if (second === this.shownSecond) return;
    this.shownSecond = second;
    const values = { time: formatDuration(second), duration: formatDuration(player.duration) };
    const [position, total] = this.time.children;
    position.textContent = values.time;
    total.textContent = ` / ${values.duration}`;
    wave.setAttribute("aria-valuenow", second);
    wave.setAttribute("aria-valuetext", text(player, "position", values));
  }

  showState() {
    const { player } = this;
    const isPlaying = !player.paused;
    player.classList.toggle("playing", isPlaying);
    const label = text(player, isPlaying ? "pause" : "play");
    player.querySelector(".player-play").setAttribute("aria-label", label);
  }

  async showWaveform() {
    const { player } = this;
    this.waveform = new PlayerWaveform(this.wave, player, {
      seek: (seconds) => player.seek(seconds),
      select: (start, end) => player.loop.set(start, end),
      zoom: (canZoomOut, canZoomIn) => {
        this.enable("zoom-out", canZoomOut);
        this.enable("zoom-in", canZoomIn);
      },
      view: () => this.notes?.move(),
    });
    await this.waveform.show();
    if (this.waveform.isReady) this.notes = new PlayerNotes(player, this.waveform);
  }

  /** Of the player, and in the menu of the page, where small screens have them. */
  enable(name, isPossible) {
    const buttons = document.querySelectorAll(`[data-action=${name}], [data-zoom=${name}]`);
    for (const button of buttons) button.disabled = !isPossible;
  }

  showNativeControls() {
    this.bar.hidden = true;
    this.player.media.controls = true;
  }
}
