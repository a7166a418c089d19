/** The dialog of a speaker: name, other speakers for paragraphs, and merging. */
import { text } from "./text.js";
import { segments, segmentsIn } from "./transcript-text.js";
import { VoiceChoice } from "./voice-choice.js";

export class SpeakerDialog {
  /** `speakers` is the <transcript-speakers> that the dialog is in. */
  constructor(speakers) {
    this.speakers = speakers;
    this.dialog = speakers.querySelector("dialog");
    for (const name of ["rename", "assign", "later", "merge"]) {
      this[`${name}Form`] = this.dialog.querySelector(`form[data-${name}]`);
    }
    const { name } = this.renameForm.elements;
    this.voice = new VoiceChoice(this.renameForm.querySelector(".voice-choice"), speakers);
    name.addEventListener("input", () => this.voice.show(name.value.trim()));
    this.onSubmit(this.renameForm, () => this.rename(name.value.trim()));
    this.onSubmit(this.assignForm, ({ speaker }) => speakers.assign(this.items, speakers.chosen(speaker)));
    this.onSubmit(this.laterForm, ({ speaker }) => speakers.assign(this.fromHere(), speakers.chosen(speaker)));
    this.onSubmit(this.mergeForm, ({ into }) => speakers.merge(this.number, Number(into.value)));
    this.compareForm = this.dialog.querySelector("form[data-compare]"); // null without audio
    if (this.compareForm) this.onSubmit(this.compareForm, () => speakers.voiceSplit.open(this.number, this.items[0]));
    this.dialog.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // a click on the backdrop
    });
    this.dialog.addEventListener("close", () => speakers.focusOn(this.items[0]));
  }

  /** Opens it for the speaker of a paragraph. */
  open(paragraph) {
    this.items = segmentsIn(paragraph);
    this.showProblem("");
    this.showSpeaker();
    const { name } = this.renameForm.elements;
    this.voice.open(this.number, name.value);
    this.dialog.showModal();
    name.select();
  }

  /** Numbers may mean somebody else now: it stays about whoever says the paragraph, with the name that
   * was typed. */
  update() {
    if (!this.dialog.open) return;
    const { name } = this.renameForm.elements;
    if (this.items[0].speaker) {
      this.showSpeaker(name.value === this.shownName ? null : name.value);
      this.voice.move(this.number, name.value);
    } else this.dialog.close();
  }

  /** Shows whom the paragraph is by, with the name that was `typed`, if one was. */
  showSpeaker(typed = null) {
    this.number = this.items[0].speaker;
    this.dialog.querySelector("h2").textContent = this.speakers.label(this.number);
    const { name } = this.renameForm.elements;
    this.shownName = this.speakers.names.get(this.number);
    name.value = typed ?? this.shownName;
    name.placeholder = text(this.speakers, "label", { number: this.number });
    for (const { elements } of [this.assignForm, this.laterForm]) {
      this.speakers.showOptions(elements.speaker, this.number);
    }
    const { into } = this.mergeForm.elements;
    this.speakers.showOptions(into, this.number);
    this.mergeForm.hidden = !into.options.length;
  }

  /** The paragraph, and everything the speaker says after it. */
  fromHere() {
    return segments.slice(this.items[0].id - 1).filter(({ speaker }) => speaker === this.number);
  }

  /** Resolves to the problem if the name or the choice about the voice was not accepted. */
  async rename(name) {
    const changeVoice = this.voice.change();
    return await this.speakers.rename(this.number, name) || changeVoice();
  }

  /** `save` resolves to the problem, which is shown; if there is none, the dialog closes. */
  onSubmit(form, save) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (this.isBusy) return;
      this.isBusy = true;
      const problem = await save(form.elements);
      this.isBusy = false;
      if (problem) this.showProblem(problem);
      else this.dialog.close();
    });
  }

  showProblem(message) {
    this.dialog.querySelector("[role=alert]").textContent = message;
  }
}
