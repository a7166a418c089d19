/** Shared by all pages that send requests. */
import { text } from "./text.js";

/** From the cookie, not from the page: signing in again in another tab replaces the token. */
export function csrfToken() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";
}

/** Why a request was refused, for a person; `body` is the server's answer, if it could be read. */
export function errorMessage(status, body) {
  if (status === 401) return text(document.body, "signedOut");
  return body?.detail ?? text(document.body, "serverError", { status });
}
