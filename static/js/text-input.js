/**
 * Turns typing, pasting and deleting in the text into changes of segments. The browser itself only
 * handles composition by input methods: everything else is done here, in the same way in all
 * browsers.
 */
import { divide, join, remove, replaceRange, textOf } from "./edit-operations.js";
import { separator } from "./paragraphs.js";
import { placeCaret, positionOf } from "./text-positions.js";
import { normalize } from "./text.js";
import { segmentOf, segments } from "./transcript-text.js";

const IGNORED = /^(format|history|insertFromDrop|deleteByDrag|insertLink|insertHorizontalRule|insertOrderedList|insertUnorderedList)/;

export class TextInput {
  /** `session` is an EditSession. */
  constructor(root, session) {
    this.session = session;
    root.addEventListener("beforeinput", (event) => this.before(event));
    root.addEventListener("input", (event) => this.composed(event));
    root.addEventListener("compositionstart", () => this.composing());
    root.addEventListener("compositionend", (event) => this.composed(event));
  }

  before(event) {
    if (event.isComposing || !event.cancelable) return; // the browser handles it: see `composed`
    event.preventDefault();
    const { inputType } = event;
    if (this.session.isBusy) this.session.giveUpRequests();
    if (this.session.isBusy) return;
    if (inputType === "historyUndo") this.session.request("edits/undo");
    else if (inputType === "historyRedo") this.session.request("edits/redo");
    else if (!IGNORED.test(inputType)) this.handle(event);
  }

  handle(event) {
    const { inputType } = event;
    const selection = getSelection();
    if (!selection.rangeCount) return;
    const caret = selection.isCollapsed ? place(selection.focusNode, selection.focusOffset) : null;
    if (inputType.startsWith("delete") && caret && this.deletedAtEdge(inputType, caret)) return;
    const [start, end] = this.range(event, caret);
    if (!start || !end) return;
    if (inputType === "insertParagraph" || inputType === "insertLineBreak") {
      if (caret) this.change(divide(caret, segments, isFirst));
      return;
    }
    this.insert(start, end, inputType.startsWith("delete") ? "" : textIn(event));
  }

  /** Backspace at the start of a segment and Delete at its end join it with its neighbor. */
  deletedAtEdge(inputType, { segment, offset }) {
    const isBackward = inputType.endsWith("Backward");
    const isAtEdge = isBackward ? !textOf(segment).slice(0, offset).trim() : !textOf(segment).slice(offset).trim();
    if (!isAtEdge || !/(Backward|Forward)$/.test(inputType)) return false;
    const second = isBackward ? segment : segments[segment.id];
    if (second) this.change(join(second, segments, isFirst(second)));
    return true;
  }

  /** The places between which the input changes the text; within the caret's segment, if there is no
   * selection. */
  range(event, caret) {
    const selection = getSelection();
    const range = event.getTargetRanges()[0] ?? selection.getRangeAt(0);
    const start = place(range.startContainer, range.startOffset);
    const end = place(range.endContainer, range.endOffset);
    if (!caret || !start || !end) return [start, end];
    const { segment } = caret;
    if (!event.inputType.startsWith("delete") && event.inputType !== "insertReplacementText") return [caret, caret];
    return [
      start.segment === segment ? start : { segment, offset: start.segment.id < segment.id ? 0 : caret.offset },
      end.segment === segment ? end : { segment, offset: end.segment.id > segment.id ? textOf(segment).length : caret.offset },
    ];
  }

  insert(start, end, data) {
    const { segment } = start;
    if (segment !== end.segment) {
      this.change(replaceRange(start, end, data, segments));
      return;
    }
    const present = textOf(segment);
    const next = present.slice(0, start.offset) + data + present.slice(end.offset);
    if (next === present) return;
    if (!normalize(next)) {
      this.change(remove(segment.id, segment.id, segments));
      return;
    }
    replaceText(segment.element, start.offset, end.offset, data);
    placeCaret(segment, start.offset + data.length);
    this.session.typed(segment);
  }

  /** An input method is about to replace the selection: the browser would join elements of several
   * segments. */
  composing() {
    const selection = getSelection();
    if (selection.isCollapsed || this.session.isBusy) return;
    const range = selection.getRangeAt(0);
    const start = place(range.startContainer, range.startOffset);
    const end = place(range.endContainer, range.endOffset);
    if (start && end && start.segment !== end.segment) this.insert(start, end, "");
  }

  change(operation) {
    if (operation) this.session.make(operation);
  }

  /** The browser itself has changed the text. */
  composed(event) {
    if (event.isComposing) return;
    const { focusNode, focusOffset } = getSelection();
    const found = focusNode && positionOf(focusNode, focusOffset);
    if (!found) return;
    const { segment } = found;
    if (!normalize(textOf(segment))) this.change(remove(segment.id, segment.id, segments));
    else this.session.typed(segment);
  }
}

/** Replaces characters within the text node, so that marks after them stay where they are. */
function replaceText(element, from, to, data) {
  element.normalize();
  if (element.childNodes.length === 1) element.firstChild.replaceData(from, to - from, data);
  else element.textContent = data;
}

/** Like `positionOf`, but after the space between two segments it is the start of the second one. */
function place(node, offset) {
  const next = node.nodeType === Node.TEXT_NODE && !segmentOf(node.parentElement) && offset
    ? segmentOf(node.nextElementSibling) : null;
  return next ? { segment: next, offset: 0 } : positionOf(node, offset);
}

/** Whether it is the first segment of its paragraph. */
function isFirst({ element }) {
  return element.closest(".paragraph").querySelector(".segment") === element;
}

/** The typed or pasted text, on one line: its lines are joined like texts. */
function textIn(event) {
  const text = event.data ?? event.dataTransfer?.getData("text/plain") ?? "";
  return text.replace(/\s+/g, (space, at) => {
    const before = text.slice(0, at), after = text.slice(at + space.length);
    return /[\n\r]/.test(space) && before && after ? separator(before, after) : " ";
  });
}
