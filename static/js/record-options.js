/** The title and the options of a new recording. */
import { dateAndTime } from "./dates.js";
import { rememberFields, restoreFields } from "./remembered-fields.js";
import { text } from "./text.js";

const STORAGE_KEY = "record-options";

export class RecordOptions {
  /** `host` has the default title. */
  constructor(form, host) {
    Object.assign(this, { form, host });
    restoreFields(form, STORAGE_KEY);
    form.addEventListener("change", () => rememberFields(form, STORAGE_KEY));
  }

  /** The options as parameters of the server. */
  get values() {
    const { title, language, diarize, speakers } = this.form.elements;
    return {
      title: title.value.trim() || text(this.host, "untitled", { date: dateAndTime.format(new Date()) }),
      options: {
        language: language.value,
        diarize: diarize.checked ? "true" : "false",
        speakers: diarize.checked ? speakers.value : "",
      },
    };
  }
}
