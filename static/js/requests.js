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

/**
 * Sends JSON, or nothing. Resolves to the `body` of the response, and to a `problem` for people if it was not
 * accepted. `host` has the text for a server that cannot be reached.
 */
export async function sendJson(host, method, url, content) {
  const response = await fetch(url, {
    method,
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
    body: content && JSON.stringify(content),
  }).catch(() => null);
  if (!response) return { body: null, problem: text(host, "unreachable") };
  const body = await response.json().catch(() => null);
  const isAccepted = response.ok && body;
  return { body, problem: isAccepted ? "" : errorMessage(response.status, body) };
}
