/** What the requests of all pages share. */

/** From the cookie and not from the page: who signs in again, in another tab, gets a new one. */
export function csrfToken() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";
}

/** Why it was refused, for a person; `body` is the server's own answer, if it could be read. */
export function refusal(status, body) {
  if (status === 401) return "You are signed out. Sign in again in another tab.";
  return body?.detail ?? `The server answered with an error (${status}). Please try again.`;
}
