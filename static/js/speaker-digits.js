/**
 * Digits that are pressed one after another are the number of a speaker. One digit is enough if no
 * longer number begins with it; otherwise there is a short time for the next one.
 */
import { isMac } from "./shortcuts.js";

const NEXT_DIGIT_MS = 700;
const DIGIT = /^(?:Digit|Numpad)([0-9])$/; // a `code`: which keys have digits depends on the layout

/**
 * The digit of a key that is pressed with Alt while typing, without it elsewhere. Undefined for
 * other keys, and for characters that are typed so: [ with Option on a German Mac, and in Windows
 * any by Alt and its number on the keypad.
 */
export function digitOf({ code, key, altKey, ctrlKey, metaKey, shiftKey }, isTyping) {
  const isCharacter = altKey && (code.startsWith("Numpad") || (isMac && /^[!-/:-~]$/.test(key)));
  if (ctrlKey || metaKey || shiftKey || altKey !== isTyping || isCharacter) return undefined;
  return DIGIT.exec(code)?.[1];
}

export class SpeakerDigits {
  constructor() {
    this.typed = "";
  }

  /**
   * `place` is the target of the assignment, `highest` the highest number of a speaker. Calls
   * `done` with the number.
   */
  add(digit, { place, highest, done }) {
    if (this.typed && place !== this.place) this.finish();
    const number = Number(this.typed + digit);
    if (!number) return;
    clearTimeout(this.timer);
    Object.assign(this, { typed: String(number), place, done });
    if (number * 10 > highest) this.finish();
    else this.timer = setTimeout(() => this.finish(), NEXT_DIGIT_MS);
  }

  finish() {
    clearTimeout(this.timer);
    const number = Number(this.typed);
    this.typed = "";
    this.done(number);
  }
}
