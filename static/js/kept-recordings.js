/** Live recordings that this browser keeps until the server has all of their audio. */
import { all, change, put, remove } from "./offline-store.js";
import { hold as holdLock } from "./locks.js";
import { account, claimed } from "./web-app.js";

/** Recordings that no page is working on, the oldest first. */
export async function interrupted() {
  await claimed;
  const records = await all("recordings").catch(() => []);
  const { held = [] } = await navigator.locks?.query() ?? {};
  const busy = new Set(held.map(({ name }) => name));
  return records.filter(({ id }) => !busy.has(lockName(id))).sort((a, b) => a.startedAt - b.startedAt);
}

/**
 * Reserves a recording for this page. Resolves to a function that releases it; null if another page
 * has it.
 */
export function hold(id) {
  return holdLock(lockName(id));
}

function lockName(id) {
  return `recording-${id}`;
}

/** Keeps it, unless there is no space, or another user has signed in. */
export function keep(record) {
  return put(account, "recordings", record).catch(() => {});
}

/** Removes it with its audio. */
export async function forget(id) {
  await change(account, (store) => store("pieces").delete(IDBKeyRange.bound([id, 0], [id, Infinity]))).catch(() => {});
  await remove("recordings", id).catch(() => {});
}
