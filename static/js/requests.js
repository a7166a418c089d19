/** Helpers for requests to the API. */
import { text } from "./text.js";

const MAX_KEPT_ALIVE = 20_000; // characters: browsers keep requests of up to 64 KB in total alive

/** The token from the cookie: the one in the page is outdated after a sign-in in another tab. */
export function csrfToken() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";
}

/** The message for a refused request; `body` is the parsed response, if there is one. */
export function errorMessage(status, body) {
  if (status === 401) return text(document.body, "signedOut");
  return body?.detail ?? text(document.body, "serverError", { status });
}

/**
 * Sends JSON, or nothing. Resolves to the `body` of the response, and to a `problem` for users if
 * it was not accepted, with its `status`. `host` has the text for a server that cannot be reached.
 */
export async function sendJson(host, method, url, content) {
  const body = content && JSON.stringify(content);
  const response = await fetch(url, {
    method,
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
    body,
    keepalive: !body || body.length < MAX_KEPT_ALIVE, // even if the page is left
  }).catch(() => null);
  if (!response) return { body: null, problem: text(host, "unreachable"), status: 0 };
  const answer = await response.json().catch(() => null);
  const isAccepted = response.ok && (answer || response.status === 204);
  const { status } = response;
  return { body: answer, problem: isAccepted ? "" : errorMessage(status, answer), status };
}

/** Whether a file can be loaded; one at another origin, if that answers. */
export async function isReachable(url) {
  const response = await fetch(url, { method: "HEAD", mode: "no-cors" }).catch(() => null);
  return Boolean(response?.ok) || response?.type === "opaque";
}
