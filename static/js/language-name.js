/**
 * The name of a language in the language of the page; its code if the browser has no name for it.
 */
export function languageName(code) {
  try {
    return new Intl.DisplayNames([document.documentElement.lang], { type: "language" }).of(code);
  } catch {
    return code;
  }
}
