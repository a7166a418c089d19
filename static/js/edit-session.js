/**
 * The user's changes: they are shown immediately, saved in the order in which they were made, and
 * can be undone even after they were saved.
 */
import { discard, resolveConflict } from "./edit-conflicts.js";
import { inPieces } from "./edit-operations.js";
import { EditQueue } from "./edit-queue.js";
import { sendJson } from "./requests.js";
import { placeCaret } from "./text-positions.js";
import { normalize } from "./text.js";
import { refresh, replace, segmentWithCaret, segments, together } from "./transcript-text.js";

const PAUSE_MS = 1000; // without typing before the text is saved

export class EditSession {
  /**
   * `host` is the <transcript-editor>: it has texts, shows the state, and asks which text to keep.
   */
  constructor(id, host, revision) {
    Object.assign(this, { id, host });
    this.typing = new Set(); // segments whose typed text is not in the queue yet
    this.queue = new EditQueue(id, host, {
      stateChanged: () => host.showState(),
      done: (edit, body) => this.done(edit, body),
      conflict: (edit) => resolveConflict(this, edit),
      outdated: () => { this.isOutdated = true; },
      drained: () => { if (this.isOutdated && !this.typing.size) this.reload(); },
    }, revision);
  }

  get isUnsaved() {
    return this.typing.size > 0 || this.queue.waiting.length > 0;
  }

  /** Discards the edit that could not be saved. */
  discard() {
    discard(this, this.queue.waiting[0]);
  }

  /** Gives up requests that could not be sent, which typing would have to wait for. */
  giveUpRequests() {
    if (!this.queue.isSending) this.queue.keepOnly(({ changes }) => changes);
  }

  /** Whether there are changes whose result is not shown yet. */
  get isBusy() {
    return this.queue.waiting.some(({ changes }) => !changes);
  }

  // --- Changes ----------------------------------------------------------------------------------

  typed(segment) {
    this.typing.add(segment);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), PAUSE_MS);
    this.host.showState();
    this.host.dispatchEvent(new CustomEvent("typed", { bubbles: true })); // for <find-replace>
  }

  /** Called when the caret has moved: saves the text of a segment that it has left. */
  moved() {
    if (this.typing.size && !this.typing.has(segmentWithCaret())) this.flush();
  }

  /** Queues the text that was typed. */
  flush() {
    clearTimeout(this.timer);
    const typed = [...this.typing];
    this.typing.clear();
    for (const segment of typed) {
      const { id, text: before, element } = segment;
      const after = normalize(element.textContent);
      if (segments[id - 1] !== segment || after === before) continue;
      const change = described({ from: id, to: id, segments: [{ text: after }] });
      if (change.segments.length > 1) this.apply([change]); // a long text
      else {
        segment.text = after;
        this.queue.push({ path: "edits", changes: [{ ...change, fresh: [segment] }] });
      }
    }
    this.host.showState();
  }

  /** Applies an operation of edit-operations.js. */
  make({ from, to, segments: parts, caret: [index, offset, length = 0] }) {
    this.apply([{ from, to, segments: parts }]);
    let number = from + index, rest = offset;
    for (const { text } of parts[index] ? inPieces(parts[index]).slice(0, -1) : []) { // a long text
      if (rest <= text.length) break;
      rest -= text.length + 1;
      number += 1;
    }
    const segment = segments[number - 1];
    if (segment) placeCaret(segment, rest, length);
  }

  /** Shows and saves changes in order of `from`, with the numbers before all of them. */
  apply(changes) {
    this.flush();
    const made = changes.map(described);
    together(() => {
      for (const change of made.toReversed()) change.fresh = replace(change.from, change.to, drafts(change));
    });
    this.queue.push({ path: "edits", changes: made });
  }

  /** Sends a request that changes the text on the server: `edits/undo`, `versions/3/restore`. */
  request(path) {
    this.flush();
    return this.queue.push({ path });
  }

  // --- Answers ----------------------------------------------------------------------------------

  done({ changes }, body) {
    this.host.showPossible(body);
    if (body.speakers) this.host.nameSpeakers(body.speakers);
    if (!changes) {
      this.show(body.changes);
      return;
    }
    if (body.changes.length !== changes.length) return; // some had already been made
    together(() => body.changes.forEach(({ segments: stored }, index) => {
      const { fresh } = changes[index];
      if (stored.length !== fresh.length) return;
      fresh.forEach((segment, part) => {
        if (segments[segment.id - 1] === segment) refresh(segment, stored[part]);
      });
    }));
  }

  /** Shows changes made on the server. */
  show(changes) {
    let last = null;
    together(() => {
      for (const { from, to, segments: stored } of changes.toReversed()) {
        const [first] = replace(from, to, stored);
        last = first ?? segments[from - 2] ?? segments[0];
      }
    });
    if (!last) return;
    placeCaret(last, last.text.length);
    last.element.scrollIntoView({ block: "nearest" });
  }

  /** Shows the transcript as it is on the server. */
  async reload() {
    const stored = await this.fetch();
    if (!stored || this.isUnsaved) return;
    this.isOutdated = false;
    this.queue.revision = stored.revision;
    replace(1, segments.length, stored.segments);
    this.host.nameSpeakers(Object.fromEntries(stored.speakers.map(({ number, name }) => [number, name ?? ""])));
  }

  /** The transcript on the server, with a `revision` that is not newer; null if there is none. */
  async fetch() {
    const url = `/api/transcriptions/${this.id}`;
    const { body: versions, problem } = await sendJson(this.host, "GET", `${url}/versions`);
    if (problem) return null;
    const { body, problem: other } = await sendJson(this.host, "GET", url);
    return other ? null : { ...body, revision: versions[0]?.revision ?? 0 };
  }
}

/**
 * A change with what is needed to save it: the texts and the segments that it replaces, `old`, and
 * the texts before and after them, null at the edges.
 */
function described({ from, to, segments: parts }) {
  const old = segments.slice(from - 1, to);
  return {
    from, to, segments: parts.flatMap(inPieces), expected_texts: old.map(({ text }) => text), old,
    before: segments[from - 2]?.text ?? null, after: segments[to]?.text ?? null,
  };
}

/** New segments with the times of those that they replace, until the server sends better ones. */
function drafts({ from, to, segments: parts }) {
  const old = segments.slice(from - 1, to);
  const near = old[0] ?? segments[from - 2];
  const start = old[0]?.start ?? near?.end ?? 0, end = old.at(-1)?.end ?? start;
  const length = parts.reduce((sum, part) => sum + part.text.length, 0) || 1;
  let position = 0;
  return parts.map((part, index) => {
    const at = start + ((end - start) * position) / length;
    position += part.text.length;
    const until = start + ((end - start) * position) / length;
    return { channel: near?.channel, ...part, id: from + index, start: at, end: until };
  });
}
