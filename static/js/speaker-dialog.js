/** The dialog of a speaker: name, who else a segment is by, and who is the same person. */
import { text } from "./text.js";

export class SpeakerDialog {
  /** `speakers` is the <transcript-speakers> that the dialog is in. */
  constructor(speakers) {
    this.speakers = speakers;
    this.dialog = speakers.querySelector("dialog");
    [this.renameForm, this.assignForm, this.mergeForm] = this.dialog.querySelectorAll("form");
    this.onSubmit(this.renameForm, ({ name }) => speakers.rename(this.number, name.value.trim()));
    this.onSubmit(this.assignForm, ({ speaker }) => speakers.assign(this.item, this.chosen(speaker)));
    this.onSubmit(this.mergeForm, ({ into }) => speakers.merge(this.number, Number(into.value)));
    this.dialog.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // a click on the backdrop
    });
    this.dialog.addEventListener("close", () => speakers.focusOn(this.item));
  }

  /** Opens it for the speaker of a segment. */
  open(item) {
    this.item = item;
    this.number = Number(item.dataset.speaker);
    const others = [...this.speakers.names.keys()].filter((number) => number !== this.number)
      .sort((a, b) => a - b);
    this.dialog.querySelector("h2").textContent = this.speakers.label(this.number);
    const { name } = this.renameForm.elements;
    name.value = this.speakers.names.get(this.number);
    name.placeholder = text(this.speakers, "label", { number: this.number });
    const { speaker } = this.assignForm.elements;
    const newOption = speaker.querySelector("[value=new]");
    speaker.replaceChildren(...others.map((number) => this.option(number)), newOption);
    speaker.selectedIndex = 0;
    this.mergeForm.elements.into.replaceChildren(...others.map((number) => this.option(number)));
    this.mergeForm.hidden = !others.length;
    this.showProblem("");
    this.dialog.showModal();
    name.select();
  }

  option(number) {
    return new Option(this.speakers.label(number), number);
  }

  chosen({ value }) {
    return value === "new" ? Math.max(...this.speakers.names.keys()) + 1 : Number(value);
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
