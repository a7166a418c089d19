/** Helpers for requests to the API. */
import { text } from "./text.js";

/** The token from the cookie: the one in the page is outdated after signing in in another tab. */
export function csrfToken() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";
}

/** The message for a refused request; `body` is the parsed response, if there is one. */
export function errorMessage(status, body) {
  if (status === 401) return text(document.body, "signedOut");
  return body?.detail ?? text(document.body, "serverError", { status });
}
