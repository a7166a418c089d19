/** The requests of <transcript-speakers> to the server, and the display of responses. */
import { sendJson } from "./requests.js";
import { text } from "./text.js";
import { relabel, segments } from "./transcript-text.js";

/** Adds the requests to a class of elements. */
export const SpeakerRequests = (Base) => class extends Base {
  /** Resolves to the problem if the name was not accepted; empty if it was. */
  async rename(number, name) {
    if (name === this.names.get(number)) return ""; // no change to undo
    const { body, problem } = await this.send("PATCH", `/speakers/${number}`, { name });
    if (problem) return problem;
    this.names.set(number, body.name ?? "");
    this.voices.set(number, body);
    this.show();
    return "";
  }

  /** Resolves to the problem if the voice is not kept; empty if it is. */
  async keepVoice(number) {
    const { body, problem } = await this.request("POST", `/speakers/${number}/voice`);
    if (!problem) this.voices.set(number, { recognized: false, voice: body.id });
    return problem;
  }

  /** Gives segments to a speaker. Resolves to the problem; empty if it was done. */
  assign(items, number) {
    return this.assignParts(items.map(({ id }) => ({ segment: id })), number);
  }

  /** Gives segments, or words of them, to a speaker. Resolves to the problem; empty if it was done. */
  async assignParts(parts, speaker) {
    const { body, problem } = await this.send("POST", "/speakers/assign", { speaker, parts });
    if (problem) return problem;
    this.relabel(body);
    this.showStatus(text(this, "given", { speaker: this.label(speaker) }));
    return "";
  }

  /** Resolves to the problem if there are still two speakers; empty if there is one. */
  async merge(from, into) {
    const { body, problem } = await this.send("POST", "/speakers/merge", { from, into });
    if (problem) return problem;
    this.take(body);
    relabel(segments.filter(({ speaker }) => speaker === from).map(({ id }) => ({ id, speaker: into })));
    this.show();
    return "";
  }

  /** Asks the server to compare the voices of a speaker's segments, or for the result. */
  proposal(method, number) {
    return this.request(method, `/speakers/${number}/split/proposal`);
  }

  /** Gives segments of one speaker to a new one, if the transcript is that of the revision. Resolves
   * to the problem; empty if it was done. */
  async split(number, segments, revision) {
    const { body, problem } = await this.send("POST", `/speakers/${number}/split`, { segments, revision });
    if (problem) return problem;
    this.relabel(body);
    this.showStatus(text(this, "split", { speaker: this.label(number) }));
    return "";
  }

  /**
   * Sends a change of the transcript after those before it are stored: they may renumber segments.
   */
  async send(method, path, content) {
    await this.settled();
    const answer = await this.request(method, path, content);
    if (!answer.problem) this.page.dispatchEvent(new CustomEvent("revision-added"));
    return answer;
  }

  /** Resolves when all edits are stored, or one could not be. */
  async settled() {
    await this.page.querySelector("transcript-editor").settled?.();
  }

  request(method, path, content) {
    return sendJson(this, method, `/api/transcriptions/${this.dataset.id}${path}`, content);
  }
};
