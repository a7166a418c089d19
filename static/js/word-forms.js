/**
 * Which words of a text a search may have found. The server knows all grammatical forms; here two
 * words that begin the same are probably forms of one word.
 */
const MIN_STEM = 4, MAX_ENDING = 3; // letters: "walks" is found by "walking", "the" only by "the"
const WORD = /[\p{L}\p{N}]+(?:['’][\p{L}\p{N}]+)*/gu;
const UNSAID = /(?:-(?:speaker:\s*)?|speaker:\s*)(?:"[^"]*"|\S+)/giu; // excluded words, and names

/** The words that a query looks for in a text. */
export function termsOf(query) {
  return wordsOf(query.replace(UNSAID, " ")).map(({ word }) => word);
}

/** The [from, to] of the words of a text that were searched for. */
export function foundIn(text, terms) {
  return wordsOf(text).filter(({ word }) => terms.some((term) => isForm(word, term)))
    .map(({ from, to }) => [from, to]);
}

/** How many of the terms are in a text. */
export function countIn(text, terms) {
  const words = wordsOf(text);
  return terms.filter((term) => words.some(({ word }) => isForm(word, term))).length;
}

function wordsOf(text) {
  return [...text.matchAll(WORD)].map(({ 0: word, index }) => ({
    word: word.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase(), from: index, to: index + word.length,
  }));
}

/** Whether two words are the same, or probably forms of the same word. */
function isForm(word, term) {
  if (word === term) return true;
  const limit = Math.min(word.length, term.length);
  let common = 0;
  while (common < limit && word[common] === term[common]) common += 1;
  return common >= MIN_STEM && Math.max(word.length, term.length) - common <= MAX_ENDING;
}
