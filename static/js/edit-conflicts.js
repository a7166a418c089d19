/** Edits that cannot be saved as they are: someone else has changed the transcript, too. */
import { locate } from "./edit-rebase.js";

const PARTS = ["near", "old", "fresh", "changes"]; // of an edit, which has several changes

/** Sends the first edit of a session again, for where its segments are now. Asks which text to keep
 * if someone else has changed these. */
export async function resolveConflict(session, edit) {
  if (session.isAsking || !edit.changes) return;
  const stored = await session.fetch();
  if (!stored || edit !== session.queue.waiting[0]) return;
  session.isOutdated = true; // the page is shown anew when all edits are saved
  const texts = stored.segments.map(({ text }) => text);
  const places = edit.changes.map((change, index) => locate(change, edit.near[index], texts));
  const theirs = places.map(({ from, to }) => texts.slice(from - 1, to));
  const isChanged = places.map(({ isSame, isMade }) => !isSame && !isMade);
  const changed = edit.changes.filter((_, index) => isChanged[index]);
  const answer = changed.length ? await ask(session, changed, theirs.filter((_, index) => isChanged[index])) : "mine";
  if (!answer) return; // it stays unsaved
  const made = edit.changes.filter((_, index) => places[index].isMade); // its response was lost
  edit.changes.forEach((change, index) => {
    Object.assign(change, { from: places[index].from, to: places[index].to, expected_texts: theirs[index] });
  });
  edit.revision = stored.revision;
  for (const name of PARTS) edit[name] = edit[name].filter((_, index) => !made.includes(edit.changes[index]));
  if (answer === "theirs") discard(session, edit, changed);
  else session.queue.keepOnly(({ changes }) => !changes || changes.length);
}

async function ask(session, changes, theirs) {
  session.isAsking = true;
  const mine = changes.flatMap((change) => change.segments.map(({ text }) => text));
  const answer = await session.host.ask(theirs.flat().join("\n"), mine.join("\n"));
  session.isAsking = false;
  return answer;
}

/** Discards changes of the first edit, and what was changed in their result since. */
export function discard(session, edit, changes = edit.changes) {
  const gone = new Set(); // segments of the page
  for (const each of session.queue.waiting.filter((one) => one.changes)) {
    const isGone = each.changes.map((change, index) =>
      (each === edit ? changes.includes(change) : each.old[index].some((segment) => gone.has(segment))));
    each.fresh.forEach((list, index) => { if (isGone[index]) list.forEach((segment) => gone.add(segment)); });
    for (const name of PARTS) each[name] = each[name].filter((_, index) => !isGone[index]);
  }
  session.isOutdated = true;
  session.queue.keepOnly((each) => each.changes?.length); // an "undo" was meant for what is gone
}
