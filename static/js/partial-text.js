/** Shows a partial result: what is final, and, in another color, what may still change. */
export function showPartial(element, { text, tentative = "" }) {
  const final = document.createElement("span");
  final.className = "final-words";
  final.textContent = tentative ? text.slice(0, -tentative.length) : text;
  element.replaceChildren(final, tentative);
}
