/** The time range of the selected text, in whole segments; null if nothing is selected. */
export function selectedTime() {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  const [first, last] = [segmentOf(range.startContainer), segmentOf(range.endContainer)];
  if (!first || !last) return null;
  return { start: Number(first.dataset.start), end: Number(last.dataset.end) };
}

function segmentOf(node) {
  const element = node instanceof Element ? node : node.parentElement;
  return element?.closest(".segment[data-start]");
}
