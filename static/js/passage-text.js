/** Passages and notes as text for other programs: plain, and as HTML. */
import { formatClock } from "./duration.js";
import { joined } from "./paragraphs.js";
import { edges, segmentNear, textOf } from "./selected-text.js";

/** The selected parts with the time and the speaker of each turn: { plain, html }. */
export function passageText(parts) {
  const turns = [];
  for (const part of parts) {
    const { speaker, channel } = part.segment;
    const turn = turns.at(-1);
    const content = textOf(part);
    if (turn && turn.speaker === speaker && turn.channel === channel) {
      turn.content = joined(turn.content, content);
    } else turns.push({ speaker, channel, content, start: edges(part)[0].start });
  }
  const lines = turns.map(({ speaker, content, start }) => ({ name: nameOf(speaker), time: formatClock(start), content }));
  return {
    plain: lines.map(({ name, time, content }) => `${name ? `${name} (${time}):` : `(${time})`} ${content}`).join("\n\n"),
    html: lines.map(lineHtml).join(""),
  };
}

/** Annotations as a list in Markdown, and as HTML; `labelOf` names their kinds. */
export function notesText(annotations, labelOf) {
  const items = annotations.map((annotation) => {
    const { kind, start, quote, body } = annotation;
    const name = nameOf(segmentNear(start)?.speaker);
    const passage = [name && `${name}:`, quote && `“${quote.replace(/\s+/g, " ")}”`].filter(Boolean).join(" ");
    return { head: `${formatClock(start)} ${labelOf(kind)}`, lines: [passage, ...body.split("\n")].filter(Boolean) };
  });
  return {
    plain: items.map(({ head, lines }) => [`- **${head}**`, ...lines].join("  \n  ")).join("\n") + "\n",
    html: node("ul", ...items.map(({ head, lines }) =>
      node("li", node("strong", head), ...lines.flatMap((line) => [node("br"), line])))).outerHTML,
  };
}

function lineHtml({ name, time, content }) {
  const head = name ? [node("strong", name), ` (${time}): `] : [`(${time}) `];
  return node("p", ...head, content).outerHTML;
}

/** The label of a speaker; empty if unknown. */
function nameOf(speaker) {
  return speaker ? document.querySelector("transcript-speakers").label(speaker) : "";
}

function node(name, ...content) {
  const element = document.createElement(name);
  element.append(...content);
  return element;
}
