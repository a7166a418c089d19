/** Live recordings that this browser keeps until the server has all of their audio. */
import { all, change, put, remove } from "./offline-store.js";
import { account, claimed } from "./web-app.js";

/** Those that no page is working on, the oldest first. */
export async function interrupted() {
  await claimed;
  const records = await all("recordings").catch(() => []);
  const { held = [] } = await navigator.locks?.query() ?? {};
  const busy = new Set(held.map(({ name }) => name));
  return records.filter(({ id }) => !busy.has(lockName(id))).sort((a, b) => a.startedAt - b.startedAt);
}

/** Resolves to a function that lets other pages work on it; null if another page does so now. */
export function hold(id) {
  if (!navigator.locks) return Promise.resolve(() => {});
  return new Promise((done) => {
    navigator.locks.request(lockName(id), { ifAvailable: true }, (lock) => {
      if (!lock) return done(null);
      return new Promise((release) => done(release));
    });
  });
}

function lockName(id) {
  return `recording-${id}`;
}

/** Without space, or if somebody else has signed in, it is not kept. */
export function keep(record) {
  return put(account, "recordings", record).catch(() => {});
}

/** With its audio. */
export async function forget(id) {
  await change(account, (store) => store("pieces").delete(IDBKeyRange.bound([id, 0], [id, Infinity]))).catch(() => {});
  await remove("recordings", id).catch(() => {});
}
