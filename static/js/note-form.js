/** The form for writing a comment or changing a note. */
import { isComposing } from "./text.js";

export class NoteForm {
  /** `save(fields)` resolves to the problem; `closed(isSaved)` is called when the form is hidden. */
  constructor(form, showProblem) {
    Object.assign(this, { form, showProblem, home: form.parentElement });
    this.quote = form.querySelector(".note-quote");
    this.colors = form.querySelector("fieldset");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    form.addEventListener("keydown", (event) => this.keyPressed(event));
    form.querySelector("[data-cancel]").addEventListener("click", () => this.close(false));
    window.addEventListener("beforeunload", (event) => { if (this.isUnsaved) event.preventDefault(); });
  }

  get isOpen() {
    return !this.form.hidden;
  }

  get isUnsaved() {
    return this.isOpen && this.form.elements.body.value.trim() !== this.before;
  }

  /** Whether there is unsaved text; if so, it gets the focus. */
  keepsUnsaved() {
    const { isUnsaved } = this;
    if (isUnsaved) this.form.elements.body.focus();
    return isUnsaved;
  }

  /** Opens it for a note, at the start of `place` in the panel; `quote` is shown for a new note. */
  open(place, { quote = "", body = "", color = null, isRequired }, { save, closed }) {
    this.close(false);
    Object.assign(this, { save, closed, before: body });
    place.prepend(this.form);
    const { elements } = this.form;
    elements.body.value = body;
    elements.body.required = isRequired;
    this.quote.textContent = quote;
    this.quote.hidden = !quote;
    this.colors.hidden = this.colors.disabled = !color;
    if (color) elements.color.value = color;
    this.form.hidden = false;
    elements.body.focus();
  }

  async submit() {
    if (this.isBusy) return;
    this.isBusy = true;
    const { body, color } = this.form.elements;
    const fields = { body: body.value.trim(), ...(!this.colors.hidden && { color: color.value }) };
    const problem = await this.save(fields);
    this.isBusy = false;
    this.showProblem(problem);
    if (!problem) this.close(true);
  }

  close(isSaved) {
    if (!this.isOpen) return;
    this.form.hidden = true;
    this.home.prepend(this.form); // the list of notes may be rebuilt
    this.closed(isSaved);
  }

  keyPressed(event) {
    if (isComposing(event)) return;
    if (event.key === "Escape") this.keepsUnsaved() || this.close(false);
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
