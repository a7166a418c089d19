/** Shows a partial result: final words, and, in another color, words that may still change. */
export function showPartial(element, { text, tentative = "" }) {
  const final = document.createElement("span");
  final.className = "final-words";
  final.textContent = tentative ? text.slice(0, -tentative.length) : text;
  element.replaceChildren(final, tentative);
}
