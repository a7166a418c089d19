/**
 * Files whose upload waits for a connection. They are kept in the browser, even when the page is
 * left, and sent when the browser is online again, or at growing intervals: even an online browser
 * may not reach the server. The key of an upload lets the server accept it only once, whichever
 * page sends it.
 */
import { hold } from "./locks.js";
import { all, change, get, put, remove } from "./offline-store.js";
import { account, claimed } from "./web-app.js";

const MAX_KEPT_BYTES = 1024 ** 3; // of all files
const FIRST_DELAY_MS = 5_000, MAX_DELAY_MS = 120_000;

export class UploadQueue {
  constructor() {
    this.kept = new Set();
    this.delay = FIRST_DELAY_MS;
    addEventListener("online", () => this.sendAll());
  }

  /** Resolves to the records that earlier pages left. */
  async restore() {
    await claimed;
    return all("uploads").catch(() => []);
  }

  /** Resolves to whether the file is kept: there may be no space, or it may have been changed. */
  async keep(upload) {
    const { key, file, options, transport: { sent } } = upload;
    try {
      if (upload.isKept) {
        await update(key, { sent });
      } else {
        await claimed;
        if (!await this.hasSpace(file)) return false;
        await put(account, "uploads", { id: key, file, options, sent });
      }
    } catch {
      return false;
    }
    upload.isKept = true;
    this.kept.add(upload);
    this.schedule();
    return true;
  }

  /**
   * Reserves an upload for this page. Resolves to a function that releases it; null if another page
   * is sending it, or has sent or cancelled it.
   */
  async take({ isKept, key }) {
    if (!isKept) return () => {};
    const release = await hold(`upload-${key}`);
    if (release && await get("uploads", key).catch(() => true)) return release;
    release?.();
    return null;
  }

  async hasSpace(file) {
    const files = await all("uploads");
    const bytes = files.reduce((sum, one) => sum + one.file.size, file.size);
    const { quota = Infinity, usage = 0 } = await navigator.storage?.estimate() ?? {};
    return bytes <= MAX_KEPT_BYTES && usage + file.size < quota;
  }

  forget(upload) {
    this.kept.delete(upload);
    if (upload.isKept) remove("uploads", upload.key).catch(() => {});
    upload.isKept = false;
  }

  schedule() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.sendAll(), this.delay);
    this.delay = Math.min(2 * this.delay, MAX_DELAY_MS);
  }

  sendAll() {
    const waiting = [...this.kept].filter(({ phase }) => phase === "kept");
    this.kept.clear();
    for (const upload of waiting) upload.wait();
  }
}

/** Changes a record that is still there. */
function update(key, values) {
  return change(account, (store) => {
    const record = store("uploads").get(key);
    record.onsuccess = () => record.result && store("uploads").put({ ...record.result, ...values });
  });
}
