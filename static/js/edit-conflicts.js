/** Edits that cannot be saved as they are: someone else has changed the transcript, too. */
import { locate } from "./edit-rebase.js";

/** Sends the first edit of a session again, for where its segments are now. Asks which text to keep
 * if someone else has changed these. */
export async function resolveConflict(session, edit) {
  if (session.isAsking || !edit.changes) return;
  const stored = await session.fetch();
  if (!stored || edit !== session.queue.waiting[0]) return;
  session.isOutdated = true; // the page is shown anew when all edits are saved
  const texts = stored.segments.map(({ text }) => text);
  const places = edit.changes.map((change) => ({ change, ...locate(change, texts) }));
  const theirs = ({ from, to }) => texts.slice(from - 1, to);
  const changed = places.filter(({ isSame, isMade }) => !isSame && !isMade);
  const answer = changed.length ? await ask(session, changed, changed.flatMap(theirs)) : "mine";
  if (!answer) return; // it stays unsaved
  for (const { change, from, to } of places) Object.assign(change, { from, to, expected_texts: theirs({ from, to }) });
  edit.changes = places.filter(({ isMade }) => !isMade).map(({ change }) => change); // a response was lost
  edit.revision = stored.revision;
  if (answer === "theirs") discard(session, edit, changed.map(({ change }) => change));
  else session.queue.keepOnly(({ changes }) => !changes || changes.length);
}

async function ask(session, changed, theirs) {
  session.isAsking = true;
  const mine = changed.flatMap(({ change }) => change.segments.map(({ text }) => text));
  const answer = await session.host.ask(theirs.join("\n"), mine.join("\n"));
  session.isAsking = false;
  return answer;
}

/** Discards changes of the first edit, and what was changed in their result since. */
export function discard(session, edit, changes = edit.changes) {
  const gone = new Set(); // segments of the page
  for (const each of session.queue.waiting.filter((one) => one.changes)) {
    each.changes = each.changes.filter((change) => {
      const isGone = each === edit ? changes.includes(change) : change.old.some((segment) => gone.has(segment));
      if (isGone) change.fresh.forEach((segment) => gone.add(segment));
      return !isGone;
    });
  }
  session.isOutdated = true;
  session.queue.keepOnly((each) => each.changes?.length); // an "undo" was meant for what is gone
}
