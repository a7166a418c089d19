/** What a search finds in the text of a paragraph, and what replaces it. */
import { separator } from "./paragraphs.js";

const SPECIAL = /[.*+?^${}()|[\]\\/]/g;
const LETTER = "[\\p{L}\\p{N}\\p{M}_]";

/**
 * The regular expression for a search: { pattern }, null if it is empty or `isInvalid`.
 * Options: `isExact` (case-sensitive), `isWord` (whole words only), `isPattern` (it is a regular
 * expression).
 */
export function patternOf(sought, { isExact, isWord, isPattern }) {
  if (!sought) return { pattern: null, isInvalid: false };
  // A space matches any number of spaces, because these look the same.
  let source = isPattern ? sought : sought.replace(SPECIAL, "\\$&").replace(/\s+/g, "\\s+");
  if (isWord) source = `(?<!${LETTER})(?:${source})(?!${LETTER})`;
  try {
    return { pattern: new RegExp(source, isExact ? "gu" : "giu"), isInvalid: false };
  } catch {
    return { pattern: null, isInvalid: true };
  }
}

/**
 * All matches in a paragraph, a list of segments: { parts, after }. `parts` are the matched
 * characters of each segment, { segment, from, to }; `after`, from `after(match)`, replaces them. The
 * first part is empty if the match begins with the space between two segments.
 */
export function matchesIn(paragraph, pattern, after) {
  const { content, places } = joinedText(paragraph);
  return [...content.matchAll(pattern)].map((match) => ({ parts: partsOf(match, places), after: after(match) }))
    .filter(({ parts }) => parts.some(({ from, to }) => from < to)); // not only a space between segments
}

/** The text of a paragraph, and the `start` and `end` of each segment in it. */
function joinedText(paragraph) {
  let content = "";
  const places = paragraph.map((segment, index) => {
    const { textContent } = segment.element; // including typed text that is not saved yet
    if (index) content += separator(paragraph[index - 1].element.textContent, textContent);
    const start = content.length;
    content += textContent;
    return { segment, start, end: content.length };
  });
  return { content, places };
}

function partsOf({ index: first, 0: { length } }, places) {
  const last = first + length;
  const begin = places.findLastIndex(({ start }) => start <= first);
  return places.slice(begin).filter(({ start }, index) => !index || start < last)
    .map(({ segment, start, end }) => ({
      segment, from: Math.max(0, Math.min(first, end) - start), to: Math.min(last, end) - start,
    }));
}

/** The replacement of a match: for a pattern, $1 and $<name> are its groups. */
export function replaced(match, replacement, isPattern) {
  if (!isPattern) return replacement;
  return replacement.replace(/\$(?:(\$)|(&)|(\d{1,2})|<([^>]*)>)/g, (whole, dollar, all, number, name) => {
    if (dollar) return "$";
    if (all) return match[0];
    const group = number ? match[Number(number)] : match.groups?.[name];
    return number && Number(number) >= match.length ? whole : group ?? "";
  });
}

/**
 * The changes that replace matches (in order), for EditSession. Segments that share a match are
 * replaced together, so that words that move to another segment keep their times. A segment without
 * text is deleted.
 */
export function changesOf(matches) {
  return clusters(matches).map(({ from, to, matches: found, segments }) => ({
    from, to, segments: newSegments([...segments], found),
  }));
}

/** Lists of matches that have segments in common, with the numbers of these: `from` to `to`. */
function clusters(matches) {
  const found = [];
  for (const match of matches) {
    const all = match.parts.map(({ segment }) => segment);
    const last = found.at(-1);
    if (all[0].id <= last?.to) last.matches.push(match);
    else found.push({ from: all[0].id, matches: [match], segments: new Set() });
    for (const segment of all) found.at(-1).segments.add(segment);
    found.at(-1).to = all.at(-1).id;
  }
  return found;
}

function newSegments(segments, matches) {
  const texts = new Map(segments.map((segment) => [segment, segment.element.textContent]));
  for (const { parts, after } of matches.toReversed()) {
    // Before a space between segments, " and" is the start of the second one, ", and" is not.
    const target = /^\s/.test(after) && parts[0].from === parts[0].to && parts[1] ? parts[1] : parts[0];
    for (const part of parts) {
      const content = texts.get(part.segment);
      const inserted = part === target ? after : "";
      texts.set(part.segment, content.slice(0, part.from) + inserted + content.slice(part.to));
    }
  }
  const kept = segments.map((segment) => ({
    text: texts.get(segment).replace(/\s+/g, " ").trim(), speaker: segment.speaker, paragraph: segment.paragraph,
  })).filter(({ text }) => text);
  if (kept.length) kept[0].paragraph = segments[0].paragraph;
  return kept;
}
