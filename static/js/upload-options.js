/** The options of the upload box, which are sent with each file. */
import { rememberFields, restoreFields } from "./remembered-fields.js";

const STORAGE_KEY = "upload-options";

export class UploadOptions {
  constructor(box) {
    this.box = box;
    restoreFields(box, STORAGE_KEY);
    box.querySelector(".upload-choices")
      .addEventListener("change", () => rememberFields(box, STORAGE_KEY));
  }

  /** The options as parameters of the API. */
  get values() {
    const [language, diarize, speakers] = ["language", "diarize", "speakers"].map((name) => this.field(name));
    const count = diarize.checked && speakers.value ? { speakers: Number(speakers.value) } : {};
    return { language: language.value, diarize: diarize.checked, ...count };
  }

  field(name) {
    return this.box.querySelector(`[name=${name}]`);
  }
}
