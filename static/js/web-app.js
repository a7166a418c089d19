/**
 * On every page: registers the service worker, and erases data that this browser keeps for an
 * account that is no longer signed in, and deleted transcripts. No form is submitted twice.
 */
import { all, claim, erase, remove } from "./offline-store.js";

/** The account of the page: empty if nobody is signed in, undefined if the page is the same for all. */
export const account = document.querySelector("meta[name=account]")?.content;

/** Resolves when all data in this browser belongs to the account of the page. */
export const claimed = account === undefined ? Promise.resolve() : claim(account).catch(() => {});

/** Asks the server who is signed in and which transcripts still exist. Changes nothing offline. */
export async function synchronize() {
  const ids = (await all("transcripts")).map(({ id }) => id);
  const response = await fetch(`/offline/state/?ids=${ids}`).catch(() => null);
  if (!response?.ok) return;
  const state = await response.json();
  // Not claimed for the page's own account again: the session may have ended in another tab since
  // the response.
  if (state.account !== account) await claim(state.account);
  for (const id of ids) if (!state.existing.includes(id)) await remove("transcripts", id);
}

// A double click is meant once. The page stays if the response is a download.
const RESUBMIT_MS = 3000;
const submitted = new Set();
addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (submitted.has(form)) return event.preventDefault();
  submitted.add(form);
  setTimeout(() => submitted.delete(form), RESUBMIT_MS);
  // The service worker does it, too, where there is one.
  if (form.matches("[data-sign-out]")) erase().catch(() => {});
});

// Old browsers do not support modules as service workers. Pages work without one.
navigator.serviceWorker?.register("/service-worker.js", { type: "module", updateViaCache: "none" }).catch(() => {});
if (account) {
  claimed.then(() => all("transcripts")).then((kept) => kept.length && synchronize()).catch(() => {});
}
