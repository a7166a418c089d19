/**
 * Which words of a text a search may have found. The server knows all grammatical forms; here, two
 * words with the same beginning are probably forms of one word. Scripts without spaces have no
 * words here: search terms are found anywhere.
 */
const MIN_STEM = 4, MAX_ENDING = 3; // letters: "walks" is found by "walking", "the" only by "the"
const WORD = /[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}\p{N}]+)*/gu;
const ACCENT = /[\u0300-\u036f]/g; // other marks are vowels, or change the letter
const UNSPACED = /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}]/u;
const UNSAID = /(?:-(?:speaker:\s*)?|speaker:\s*)(?:"[^"]*"|\S+)/giu; // excluded words, and names

/** The words of a query that a text should contain. */
export function termsOf(query) {
  return wordsOf(query.replace(/[“”„«»]/g, '"').replace(UNSAID, " ")).map(({ word }) => word);
}

/** The [from, to] of the words of a text that were searched for. */
export function foundIn(text, terms) {
  const words = wordsOf(text).filter(({ word }) => terms.some((term) => isForm(word, term)))
    .map(({ from, to }) => [from, to]);
  const places = [...words, ...terms.filter((term) => UNSPACED.test(term)).flatMap((term) => placesOf(term, text))];
  places.sort((one, two) => one[0] - two[0]);
  return places.filter(([from], number) => !number || from >= places[number - 1][1]);
}

/** How many of the terms are in a text. */
export function countIn(text, terms) {
  const words = wordsOf(text);
  return terms.filter((term) => words.some(({ word }) => isForm(word, term)) || isWithin(term, text)).length;
}

function wordsOf(text) {
  return [...text.matchAll(WORD)].map(({ 0: word, index }) => ({
    word: plain(word), from: index, to: index + word.length,
  }));
}

function plain(word) {
  return UNSPACED.test(word) ? word : word.normalize("NFKD").replace(ACCENT, "").toLowerCase();
}

function isWithin(term, text) {
  return UNSPACED.test(term) && text.includes(term);
}

function placesOf(term, text) {
  const places = [];
  for (let from = text.indexOf(term); from >= 0; from = text.indexOf(term, from + term.length)) {
    places.push([from, from + term.length]);
  }
  return places;
}

/** Whether two words are the same, or probably forms of the same word. */
function isForm(word, term) {
  if (word === term || UNSPACED.test(term)) return word === term;
  const limit = Math.min(word.length, term.length);
  let common = 0;
  while (common < limit && word[common] === term[common]) common += 1;
  return common >= MIN_STEM && Math.max(word.length, term.length) - common <= MAX_ENDING;
}
