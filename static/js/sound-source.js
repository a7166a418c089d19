/**
 * <sound-source data-worklet>: the choice of the sound to record and of the microphone, and a level
 * meter, which also works before the recording. `open` returns the sound to the recorder.
 */
import { AudioCapture, canShare, CaptureProblem } from "./audio-capture.js";
import { text } from "./text.js";

const DECAY = 0.8; // of the meter, for each piece
const TOO_LOUD = 0.99, SILENT = 0.002; // peaks
const MAX_LOUD = 10, MAX_SILENT = 50; // pieces, a tenth of a second each

customElements.define("sound-source", class extends HTMLElement {
  connectedCallback() {
    this.devices = this.querySelector("[name=device]");
    this.button = this.querySelector("[data-check]");
    this.level = this.loud = this.quiet = 0;
    for (const choice of this.querySelectorAll("[name=source]")) {
      if (choice.value !== "microphone") choice.closest("label").hidden = !canShare();
    }
    this.addEventListener("change", () => this.changed());
    this.button.addEventListener("click", () => (this.capture ? this.close() : this.check()));
    navigator.mediaDevices?.addEventListener("devicechange", () => this.listDevices());
    this.listDevices();
    if (!navigator.mediaDevices) this.show(text(this, "insecure"), true);
  }

  get source() {
    return this.querySelector("[name=source]:checked").value;
  }

  /** Resolves to the sound; null if there is none, and the reason is shown. */
  async open() {
    if (this.capture && this.opened === this.choice) return this.capture;
    this.close();
    this.show("");
    this.opened = this.choice;
    try {
      this.capture = await AudioCapture.open(this.source, this.devices.value, this.dataset.worklet);
    } catch (error) {
      if (!(error instanceof CaptureProblem)) console.warn(error);
      this.show(text(this, error.key ?? "failed"), true);
      return null;
    }
    this.capture.received = (data, peak) => this.measure(peak);
    this.capture.interrupted = () => this.lost();
    this.listDevices(); // their names are known now
    return this.capture;
  }

  close() {
    this.capture?.close();
    this.capture = null;
    this.button.textContent = text(this, "check");
    this.showLevel(0);
    this.show("");
  }

  get choice() {
    return `${this.source} ${this.devices.value}`;
  }

  async check() {
    if (await this.open()) this.button.textContent = text(this, "stopCheck");
  }

  async changed() {
    this.querySelector("[data-device]").hidden = this.source === "shared";
    if (!this.capture || this.opened === this.choice) return;
    this.close();
    if (this.source === "microphone") await this.check(); // the browser needs to ask nothing
  }

  lost() {
    this.close();
    this.show(text(this, "lost"), true);
  }

  async listDevices() {
    const all = await navigator.mediaDevices?.enumerateDevices().catch(() => []) ?? [];
    const microphones = all.filter(({ kind, deviceId }) => kind === "audioinput" && deviceId && deviceId !== "default");
    const { value } = this.devices;
    const [standard] = this.devices.options;
    const options = microphones.map(({ label, deviceId }) => new Option(label || text(this, "unnamed"), deviceId));
    this.devices.replaceChildren(standard, ...options);
    this.devices.value = microphones.some(({ deviceId }) => deviceId === value) ? value : "";
  }

  /** Shows how loud it is; called with each piece. */
  measure(peak) {
    this.level = Math.max(peak, this.level * DECAY);
    this.showLevel(this.level);
    this.quiet = peak < SILENT ? this.quiet + 1 : 0;
    this.loud = Math.max(0, peak > TOO_LOUD ? this.loud + 3 : this.loud - 1);
    const advice = this.loud > MAX_LOUD ? "tooLoud" : this.quiet > MAX_SILENT ? "silent" : "";
    if (advice === this.advice || (this.loud && !advice)) return; // not for every loud word
    this.advice = advice;
    this.show(advice && text(this, advice));
  }

  showLevel(peak) {
    for (const meter of document.querySelectorAll("[data-level]")) meter.value = Math.sqrt(peak);
  }

  get hint() {
    return document.querySelector("#sound-hint");
  }

  show(message, isProblem = false) {
    this.hint.textContent = message;
    this.hint.hidden = !message;
    this.hint.className = isProblem ? "alert" : "note";
    this.hint.setAttribute("role", isProblem ? "alert" : "status");
  }
});
