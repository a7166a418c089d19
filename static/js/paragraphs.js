/**
 * The paragraphs in which a page shows segments: the same rule as transcriptions/exports/page_paragraphs.py,
 * and the same spaces between texts as gpu/joining.py. A test compares them.
 */
const FULL_LENGTH = 500; // characters of its segments: no longer paragraph continues
const PAUSE_LENGTH = 200, PAUSE_S = 1.5; // a paragraph of this length ends at a pause

const CJK = "\\u3000-\\u312f\\u31a0-\\u31ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\uff01-\\uff9f"
  + "\\u{20000}-\\u{3ffff}";
const FULL_WIDTH_MARK = "[、。，．：；？！）］｝」』】〕》〉\\]]";
const QUOTE = "[\"'”’»“‘«)(]*";
const UNSPACED = new RegExp(
  `${FULL_WIDTH_MARK}${QUOTE}\\n${QUOTE}[\\p{L}\\p{N}_]|[${CJK}]${QUOTE}\\n${QUOTE}[${CJK}]`, "u",
);
const EDGE_LENGTH = 8; // of the texts, which decide on the separator

/** Whether the paragraph of these segments continues with another one. */
export function goesOn(paragraph, segment) {
  const last = paragraph.at(-1);
  if (last.speaker !== segment.speaker || last.channel !== segment.channel) return false;
  if (typeof segment.paragraph === "boolean") return !segment.paragraph; // the user's choice
  const length = paragraph.reduce((sum, each) => sum + each.text.length, 0);
  return length < PAUSE_LENGTH || (length < FULL_LENGTH && segment.start - last.end < PAUSE_S);
}

/** The segments from an index on in lists, each a paragraph. */
export function* divided(segments, from = 0) {
  let current = [];
  for (let index = from; index < segments.length; index += 1) {
    if (current.length && !goesOn(current, segments[index])) {
      yield current;
      current = [];
    }
    current.push(segments[index]);
  }
  if (current.length) yield current;
}

/** The separator of two texts: a space, or nothing. */
export function separator(before, after) {
  if (!before || !after) return "";
  const edge = `${before.slice(-EDGE_LENGTH)}\n${after.slice(0, EDGE_LENGTH)}`;
  return UNSPACED.test(edge) ? "" : " ";
}

/** Two texts as one. */
export function joined(before, after) {
  return before + separator(before, after) + after;
}
