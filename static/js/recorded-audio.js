/**
 * The audio of a live recording that the server has not confirmed: new audio is in memory, and
 * after a second in IndexedDB, until it is confirmed. Positions are bytes from the beginning.
 */
import { all, change, lastKey } from "./offline-store.js";
import { account } from "./web-app.js";

const STORE_INTERVAL_MS = 1_000;
const RECORDS_PER_READ = 4;
const MAX_MEMORY_BYTES = 32 * 1024 * 1024; // eleven minutes, if the browser can store nothing

export class RecordedAudio {
  /** `changed` is called when the browser can no longer store anything, and when it can again. */
  constructor(id, changed = () => {}) {
    Object.assign(this, { id, changed, isUnstored: false });
    this.pieces = []; // { start, end, data }
    this.end = this.confirmed = this.erased = 0;
    this.storedAt = 0;
  }

  /** Restores audio that an earlier page has left. */
  async restore() {
    const [first] = await all("pieces", this.rangeFrom(0), 1);
    if (!first) return;
    this.confirmed = first.start;
    [, this.end] = await lastKey("pieces", this.rangeFrom(0));
  }

  /**
   * Whether nothing more can be kept: the browser stores nothing, and the server is unreachable.
   */
  get isFull() {
    return this.end - (this.pieces[0]?.start ?? this.end) > MAX_MEMORY_BYTES;
  }

  add(data) {
    const start = this.end;
    this.end += data.byteLength;
    this.pieces.push({ start, end: this.end, data: new Uint8Array(data) });
    if (performance.now() - this.storedAt < STORE_INTERVAL_MS) return;
    this.storedAt = performance.now();
    this.store();
  }

  /** The server has everything before this position. */
  confirm(position) {
    this.confirmed = Math.max(this.confirmed, position);
    this.end = Math.max(this.end, this.confirmed);
    const first = this.pieces.findIndex(({ end }) => end > this.confirmed);
    this.pieces.splice(0, first < 0 ? this.pieces.length : first);
  }

  /** Some of the audio from this position on; null if there is none. */
  async read(position) {
    if (!this.pieces.length || this.pieces[0].start > position) {
      const records = await all("pieces", this.rangeFrom(position), RECORDS_PER_READ);
      if (records.length) return joined(records, position);
    }
    const pieces = this.pieces.filter(({ end }) => end > position);
    return pieces.length ? joined(pieces, position) : null;
  }

  /** Moves audio from memory to IndexedDB, and erases confirmed audio there. */
  store() {
    this.storing = (this.storing ?? Promise.resolve()).then(() => this.storeOnce());
    return this.storing;
  }

  async storeOnce() {
    if (this.isOver) return;
    this.storedAt = performance.now();
    const batch = [...this.pieces];
    const { confirmed } = this;
    try {
      if (batch.length || confirmed > this.erased) await change(account, (store) => this.write(store, batch, confirmed));
      this.erased = confirmed;
      this.pieces = this.pieces.filter((piece) => !batch.includes(piece));
      this.setUnstored(false);
    } catch {
      this.setUnstored(true); // it stays in memory
    }
  }

  setUnstored(isUnstored) {
    if (isUnstored === this.isUnstored) return;
    this.isUnstored = isUnstored;
    this.changed();
  }

  write(store, batch, confirmed) {
    if (confirmed) store("pieces").delete(IDBKeyRange.bound([this.id, 0], [this.id, confirmed]));
    if (!batch.length) return;
    const { start } = batch[0];
    store("pieces").put({ recording: this.id, start, end: batch.at(-1).end, data: joined(batch, start) });
  }

  rangeFrom(position) {
    return IDBKeyRange.bound([this.id, position], [this.id, Infinity], true);
  }
}

/** The bytes of consecutive pieces, from a position within the first one. */
function joined(pieces, position) {
  const data = new Uint8Array(pieces.at(-1).end - position);
  for (const piece of pieces) {
    const skipped = Math.max(0, position - piece.start);
    data.set(piece.data.subarray(skipped), piece.start + skipped - position);
  }
  return data;
}
