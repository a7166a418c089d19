/** The selected text of the transcript: whole segments, or some of their words. */
import { joined } from "./paragraphs.js";
import { positionOf, segmentAt, segments, segmentWithCaret, wordAt } from "./transcript-text.js";

const MAX_QUOTE = 5000; // characters, as in transcriptions/schemas/annotations.py
const MAX_MOMENT = 200; // of the text at a moment

const root = document.querySelector("#segments");

/** The selected characters of each segment with selected text: a list of { segment, from, to }. */
export function selectedParts() {
  const selection = getSelection();
  if (selection.isCollapsed || !root.contains(selection.anchorNode)) return [];
  const range = selection.getRangeAt(0);
  const start = positionOf(range.startContainer, range.startOffset);
  const end = positionOf(range.endContainer, range.endOffset);
  if (!start || !end) return [];
  return segments.slice(start.segment.id - 1, end.segment.id)
    .map((segment) => ({
      segment,
      from: segment === start.segment ? start.offset : 0,
      to: segment === end.segment ? end.offset : shownText(segment).length,
    }))
    .filter((part) => textOf(part) && !part.segment.element.closest("[hidden]"));
}

/** The selection, else the segment that is being played, else the one with the caret. */
export function partsAtHand() {
  const parts = selectedParts();
  if (parts.length) return parts;
  const player = playing();
  const segment = player ? segmentAt(player.currentTime) : segmentWithCaret();
  return segment ? [{ segment, from: 0, to: shownText(segment).length }] : [];
}

/** Time and text of a list of parts: { start, end, quote }, in seconds. Words count as a whole. */
export function passageOf(parts) {
  const heard = parts.flatMap((part) => edges(part));
  return {
    start: Math.min(...heard.map(({ start }) => start)),
    end: Math.max(...heard.map(({ end }) => end)),
    quote: parts.map(textOf).reduce(joined, "").slice(0, MAX_QUOTE),
  };
}

/** The first and the last word of a part; the segment while its words are unknown. */
export function edges({ segment, from, to }) {
  const selected = shownText(segment).slice(from, to);
  const first = wordAt(segment, from + selected.length - selected.trimStart().length);
  return first ? [first, wordAt(segment, from + selected.trimEnd().length - 1)] : [segment];
}

/** What is being played, or is at the caret: { start, quote }. */
export function momentAtHand() {
  const player = playing() ?? document.querySelector("transcript-player");
  const { focusNode, focusOffset } = getSelection();
  const place = !playing() && focusNode ? positionOf(focusNode, focusOffset) : null;
  const start = place
    ? (wordAt(place.segment, place.offset) ?? place.segment).start
    : player?.currentTime || segments.at(-1)?.start || 0;
  const segment = place?.segment ?? segmentNear(start);
  return { start, quote: segment ? shownText(segment).trim().slice(0, MAX_MOMENT) : "" };
}

/** The segment at a moment; in a pause, the next one. */
export function segmentNear(seconds) {
  return segmentAt(seconds) ?? segments.find(({ end }) => end > seconds) ?? segments.at(-1) ?? null;
}

export function textOf({ segment, from, to }) {
  return shownText(segment).slice(from, to).trim();
}

function shownText({ element }) {
  return element.textContent; // including typed text that is not saved yet
}

/** The player, if it is playing. */
function playing() {
  const player = document.querySelector("transcript-player");
  return player && !player.hidden && !player.paused ? player : null;
}
