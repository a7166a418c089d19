/** A row of the list of notes. */
import { formatDuration } from "./duration.js";

/** A copy of `template` for an annotation; `kindLabel` names its kind. */
export function noteRow(template, annotation, kindLabel) {
  const { id, kind, start, quote, body, color } = annotation;
  const row = template.content.firstElementChild.cloneNode(true);
  Object.assign(row.dataset, { note: id, kind, ...(color && { color }) });
  const set = (name, content) => {
    const element = row.querySelector(`.note-${name}`);
    element.textContent = content;
    element.hidden = !content;
  };
  set("time", formatDuration(start));
  set("kind", kindLabel);
  set("quote", quote);
  set("body", body);
  return row;
}
