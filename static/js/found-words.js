/**
 * The parameters of a link to a passage: `?q=` has the words of a search, which are marked, and the
 * page opens at the first of them; `?t=` is a moment in seconds.
 */
import { showSegment } from "./show-segment.js";
import { mark } from "./text-marks.js";
import { segmentAt, segments } from "./transcript-text.js";
import { countIn, foundIn, termsOf } from "./word-forms.js";

const parameters = new URLSearchParams(location.search);
const terms = termsOf(parameters.get("q") ?? "");

if (terms.length) mark("found", (segment) => foundIn(segment.text, terms));
const time = Number(parameters.get("t") ?? NaN);
if (time >= 0) leadTo(segmentAt(time) ?? segments.find(({ end }) => end > time));
else if (terms.length) leadTo(best());

function leadTo(segment) {
  if (segment) showSegment(segment, ...(foundIn(segment.text, terms)[0] ?? []));
}

/** The first segment with most of the words. */
function best() {
  let result = null, most = 0;
  for (const segment of segments) {
    const count = countIn(segment.text, terms);
    if (count > most) [result, most] = [segment, count];
  }
  return result;
}
