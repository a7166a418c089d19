/** A row in the preview of <find-replace>: a match with its replacement. */
import { formatDuration } from "./duration.js";
import { separator } from "./paragraphs.js";

const CONTEXT = 24; // characters around the match

export function matchRow({ parts, after }) {
  const item = document.createElement("li");
  const button = Object.assign(document.createElement("button"), { type: "button" });
  const [first, last] = [parts[0], parts.at(-1)];
  const before = textOf(first).slice(Math.max(0, first.from - CONTEXT), first.from);
  const next = textOf(last).slice(last.to, last.to + CONTEXT);
  button.append(
    node("span", formatDuration(first.segment.start)), " ", before,
    node("del", matched(parts)), node("ins", after), next,
  );
  item.append(button);
  return item;
}

/** The text of the match, with the spaces between segments. */
function matched(parts) {
  return parts.reduce((content, part, index) => {
    const space = index ? separator(textOf(parts[index - 1]), textOf(part)) : "";
    return content + space + textOf(part).slice(part.from, part.to);
  }, "");
}

function textOf({ segment }) {
  return segment.element.textContent;
}

function node(name, content) {
  const element = document.createElement(name);
  element.textContent = content;
  return element;
}
