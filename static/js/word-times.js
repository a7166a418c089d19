/**
 * The times of words, and their places in the text. `words` of a segment is { at, start, length,
 * low, overlap }: lists with a number for each word (UTF-16 offset, milliseconds, milliseconds);
 * `low` has the indexes of uncertain words, `overlap` those of words during which several people
 * speak. The page fetches them after its text is shown.
 */
const LOW_PROBABILITY = 0.5; // of uncertain words, as in transcriptions/schemas/word_times.py

/** Maps the API's times of words to a shown text. */
export function timesOf(text, words) {
  let position = 0;
  const at = words.map((word) => {
    const start = text.indexOf(word.text, position);
    const found = start < 0 ? position : start;
    position = Math.min(found + word.text.length, text.length);
    return found;
  });
  return {
    at,
    start: words.map(({ start }) => Math.round(1000 * start)),
    length: words.map(({ start, end }) => Math.round(1000 * (end - start))),
    low: words.flatMap(({ probability }, index) => (probability < LOW_PROBABILITY ? [index] : [])),
    overlap: words.flatMap(({ overlap }, index) => (overlap ? [index] : [])),
  };
}
