/** The choice in the dialog of a speaker: whether the person is recognized in future recordings. */
import { sendJson } from "./requests.js";
import { text } from "./text.js";

export class VoiceChoice {
  /** `element` has the checkbox, `speakers` is the <transcript-speakers> that it is in. */
  constructor(element, speakers) {
    this.element = element;
    this.speakers = speakers;
    this.checkbox = element.querySelector("input");
    this.checkbox.addEventListener("change", () => { this.chosen = this.checkbox.checked; });
  }

  /** Opens it for a speaker with this name. The existing voices are loaded afterwards. */
  async open(number, name) {
    Object.assign(this, { number, name, voices: [], chosen: null });
    this.show(name);
    const { body } = await sendJson(this.speakers, "GET", "/api/voices");
    if (this.number !== number) return;
    this.voices = body ?? [];
    this.show(this.name);
  }

  /** The speaker has this number now; what was chosen stays. */
  move(number, name) {
    this.number = number;
    this.show(name);
  }

  /** Without a name, nobody can be recognized. */
  show(name) {
    this.name = name;
    const key = this.voice && !this.isLinked ? "improve" : "keep";
    this.element.querySelector("label span").textContent = text(this.element, key, { name });
    this.checkbox.checked = this.chosen ?? this.isLinked;
    this.element.querySelector(".field-errors").textContent = this.isLinked ? "" : this.named?.error ?? "";
    this.element.hidden = !name;
  }

  /** The voice with this name. */
  get named() {
    const name = this.name.toLowerCase();
    return this.voices.find((voice) => voice.name.toLowerCase() === name);
  }

  /** The same, unless it could not be learned: then it can be requested as if there were none. */
  get voice() {
    return this.named?.state === "failed" ? undefined : this.named;
  }

  /** Whether the voice was recognized in this speaker, or is learned from it. */
  get isLinked() {
    return Boolean(this.voice) && this.voice.id === this.speakers.voiceOf(this.number);
  }

  /**
   * Returns a function that applies the present choice: the name may be new, and is saved first. It
   * resolves to the problem; empty if there is none.
   */
  change() {
    const { name, number, voice, isLinked, checkbox: { checked } } = this;
    if (!name || checked === isLinked) return () => "";
    if (checked) return () => this.speakers.keepVoice(number);
    return async () => (await sendJson(this.speakers, "DELETE", `/api/voices/${voice.id}`)).problem;
  }
}
