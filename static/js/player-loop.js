/**
 * The part of a recording that the player repeats (from A to B), or plays once and then stops. A
 * click elsewhere leaves the part; it is repeated again once playback passes its end.
 */
import { formatDuration } from "./duration.js";
import { knowWords } from "./load-times.js";
import { passageOf, selectedParts } from "./selected-text.js";
import { text } from "./text.js";

const MIN_LENGTH_S = 0.2;

export class PlayerLoop {
  constructor(player) {
    this.player = player;
    this.button = player.querySelector("[data-action=loop]");
    this.start = this.end = null; // without an end, B is not set yet
    this.stopAt = null; // the end of a part that is played once
    this.last = 0; // the last position of the playback
  }

  get isSet() {
    return this.end !== null;
  }

  /**
   * Repeats the selected words. Otherwise the first call sets A, the second one B, and the third
   * one ends it.
   */
  async next() {
    const parts = this.isSet ? [] : selectedParts();
    await knowWords(parts);
    const now = this.player.currentTime;
    if (this.isSet) this.clear();
    else if (parts.length) {
      const { start, end } = passageOf(parts);
      this.player.playRange(start, Math.max(end, start + MIN_LENGTH_S), { loop: true });
    } else if (this.start === null || now < this.start + MIN_LENGTH_S) this.setStart(now);
    else this.set(this.start, now);
  }

  setStart(seconds) {
    this.start = seconds;
    this.show("loopStart", { start: formatDuration(seconds) });
  }

  set(start, end) {
    if (end - start < MIN_LENGTH_S) return this.clear();
    Object.assign(this, { start, end });
    this.show("loopOn", { start: formatDuration(start), end: formatDuration(end) });
  }

  clear() {
    if (this.start === null) return;
    this.start = this.end = null;
    this.show("loopOff");
  }

  show(message, values) {
    const isOn = this.start !== null;
    this.button.setAttribute("aria-pressed", String(isOn));
    this.button.classList.toggle("waits-for-end", isOn && !this.isSet);
    this.player.controls.say(text(this.player, message, values));
    if (isOn) this.player.controls.waveform.mark(this.start, this.end ?? this.start);
    else this.player.controls.waveform.mark();
  }

  /** The earliest position to which playback may go back from there. */
  startOf(seconds) {
    return this.isSet && seconds >= this.start && seconds <= this.end ? this.start : 0;
  }

  /** Whether playback has passed an end since the last call, and where it continues then. */
  check(now) {
    const hasPassed = (seconds) => seconds !== null && this.last < seconds && now >= seconds;
    const isOver = hasPassed(this.stopAt), isRepeated = hasPassed(this.end);
    this.last = now;
    if (isOver) this.stopAt = null;
    return { isOver, repeatFrom: isRepeated ? this.start : null };
  }
}
