/** Formats of all dates on pages: in the language of the page and the time zone of the reader. */
const language = document.documentElement.lang;

export const date = new Intl.DateTimeFormat(language, { dateStyle: "medium" });
export const dateAndTime = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
export const full = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });
