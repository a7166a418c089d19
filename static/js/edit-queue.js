/**
 * Sends the changes of a transcript one after another, in the order in which they were made. The
 * page always shows the server's text plus the changes that wait here.
 */
import { sendJson } from "./requests.js";

const TRANSIENT = [0, 401, 408, 429]; // statuses, besides those of a failing server

export class EditQueue {
  /**
   * `host` has the texts for problems. `handlers`: `stateChanged()` when `problem` or `waiting`
   * change, `done(edit, body)` for an edit that was stored, `conflict(edit)` for one that conflicts
   * with another change, `outdated()` if someone else has made changes, too, `drained()` when all
   * are stored. `revision` is the last one of the shown transcript.
   */
  constructor(id, host, handlers, revision) {
    Object.assign(this, { id, host, handlers, revision });
    this.waiting = []; // { path, changes? }; the first one is being sent, or could not be sent
    this.problem = "";
    this.isRefused = false; // the first one, which sending it again cannot change
    this.isSending = false;
  }

  push(edit) {
    this.waiting.push(edit);
    return this.send();
  }

  /** Discards waiting edits for which a function returns false, and sends the others. */
  keepOnly(isKept) {
    this.waiting = this.waiting.filter(isKept);
    this.problem = "";
    this.isRefused = false;
    return this.send();
  }

  /**
   * Sends waiting edits, including those that could not be sent before. Resolves when nothing is
   * being sent.
   */
  send() {
    if (!this.isSending) this.sending = this.sendAll();
    return this.sending;
  }

  async sendAll() {
    this.isSending = true;
    while (this.waiting.length) {
      const [edit] = this.waiting;
      this.problem = "";
      this.isRefused = false;
      this.handlers.stateChanged();
      const { body, problem, status } = await this.request(edit);
      if (edit !== this.waiting[0]) continue; // they were discarded
      if (problem) {
        this.isSending = false;
        this.refused(edit, body, problem, status);
        return;
      }
      this.waiting.shift();
      // If someone else has made changes, too, the revision stays that of the page: the server then
      // refuses the next edit, whose numbers are not those of its segments any more.
      if (body.revision > this.revision + 1) this.handlers.outdated();
      else this.revision = body.revision;
      this.handlers.done(edit, body);
    }
    this.isSending = false;
    this.handlers.stateChanged();
    this.handlers.drained();
  }

  refused(edit, body, problem, status) {
    const isDone = body?.code === "edit_conflict" && !edit.changes; // or no longer what was meant
    if (isDone || body?.code === "nothing_to_undo") {
      this.waiting.shift();
      if (isDone) this.handlers.outdated();
      this.handlers.stateChanged();
      if (this.waiting.length) this.send();
      else this.handlers.drained();
      return;
    }
    // The response may have been lost: then the same request would undo another change, too.
    if (!edit.changes) edit.revision ??= this.revision;
    this.problem = problem;
    this.isRefused = status < 500 && !TRANSIENT.includes(status) && body?.code !== "edit_conflict";
    this.handlers.stateChanged();
    if (body?.code === "edit_conflict" || body?.code === "not_found") this.handlers.conflict(edit);
  }

  request({ path, changes, revision }) {
    const url = `/api/transcriptions/${this.id}/${path}`;
    if (!changes) return sendJson(this.host, "POST", revision === undefined ? url : `${url}?revision=${revision}`, {});
    const sent = changes.map(({ from, to, segments, expected_texts }) => ({ from, to, segments, expected_texts }));
    return sendJson(this.host, "POST", url, { changes: sent, revision: revision ?? this.revision });
  }
}
