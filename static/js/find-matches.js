/** What a search finds in the text of a segment. */

const SPECIAL = /[.*+?^${}()|[\]\\/]/g;
const LETTER = "[\\p{L}\\p{N}\\p{M}_]";

/**
 * The regular expression for a search: { pattern } or { problem }, both null for an empty one.
 * Options: `isExact` (case-sensitive), `isWord` (whole words only), `isPattern` (it is a regular
 * expression).
 */
export function patternOf(sought, { isExact, isWord, isPattern }) {
  if (!sought) return { pattern: null, problem: null };
  // A space matches any number of spaces, because these look the same.
  let source = isPattern ? sought : sought.replace(SPECIAL, "\\$&").replace(/\s+/g, "\\s+");
  if (isWord) source = `(?<!${LETTER})(?:${source})(?!${LETTER})`;
  try {
    return { pattern: new RegExp(source, isExact ? "gu" : "giu"), problem: null };
  } catch (error) {
    return { pattern: null, problem: error.message };
  }
}

/** All matches in a segment: { segment, from, to, after }, `after` from `after(match)`. */
export function matchesIn(segment, pattern, after) {
  const matches = [...segment.element.textContent.matchAll(pattern)].filter(({ 0: found }) => found);
  return matches.map((match) => ({
    segment, from: match.index, to: match.index + match[0].length, after: after(match),
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
