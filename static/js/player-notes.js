/**
 * Ticks above the waveform at the times of notes. Those that are too close together for a finger
 * share a button; a click jumps to the nearest one. The arrow keys go from button to button.
 */
import { annotations } from "./annotations.js";
import { formatDuration } from "./duration.js";
import { text } from "./text.js";

const BUTTON_PX = 24; // the least width, and the least distance
const MAX_LABELS = 3, MAX_LABEL_LENGTH = 80;
const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

const page = document.querySelector("live-transcript");
const names = document.querySelector("transcript-notes"); // has the names of the kinds

export class PlayerNotes {
  constructor(player, waveform) {
    Object.assign(this, { player, waveform, root: player.querySelector(".player-notes") });
    this.track = this.root.firstElementChild; // as wide as the waveform, which may be zoomed in
    page.addEventListener("annotations-changed", () => this.show());
    this.root.addEventListener("click", (event) => this.click(event));
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("focusin", ({ target }) => this.reveal(target));
    this.show();
  }

  /** Called after the waveform was zoomed, scrolled or resized. */
  move() {
    const { pixelsPerSecond, scroll } = this.waveform.view;
    if (pixelsPerSecond !== this.pixelsPerSecond) this.show();
    this.track.style.transform = `translateX(${-scroll}px)`;
  }

  show() {
    this.pixelsPerSecond = this.waveform.view.pixelsPerSecond;
    const focused = this.root.contains(document.activeElement) && document.activeElement.dataset.notes;
    this.groups = grouped(annotations, this.pixelsPerSecond);
    this.track.replaceChildren(...this.groups.map((group) => this.button(group)));
    this.root.hidden = !this.groups.length;
    const again = [...this.track.children].find((button) => button.dataset.notes === focused);
    this.choose(again ?? this.track.firstElementChild);
    again?.focus();
  }

  button(group) {
    const left = group[0].start * this.pixelsPerSecond;
    const width = (group.at(-1).start - group[0].start) * this.pixelsPerSecond;
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.dataset.notes = group.map(({ id }) => id).join(" ");
    Object.assign(button.style, { left: `${left - BUTTON_PX / 2}px`, width: `${width + BUTTON_PX}px` });
    const labels = group.slice(0, MAX_LABELS).map(label);
    if (group.length > MAX_LABELS) labels.push(`+${group.length - MAX_LABELS}`);
    button.title = labels.join("\n");
    button.setAttribute("aria-label", labels.join(", "));
    for (const { start, kind, color } of group) {
      const tick = document.createElement("span");
      Object.assign(tick.dataset, { kind, ...(color && { color }) });
      tick.style.left = `${start * this.pixelsPerSecond - left + BUTTON_PX / 2}px`;
      button.append(tick);
    }
    return button;
  }

  /** The only one that Tab reaches. */
  choose(chosen) {
    for (const button of this.track.children) button.tabIndex = button === chosen ? 0 : -1;
  }

  click(event) {
    const index = [...this.track.children].indexOf(event.target.closest("button"));
    if (index < 0) return;
    const group = this.groups[index];
    const at = (event.clientX - this.track.getBoundingClientRect().left) / this.pixelsPerSecond;
    const distance = ({ start }) => (event.detail ? Math.abs(start - at) : start); // 0: by a key
    const [first, ...others] = group;
    const nearest = others.reduce((best, note) => (distance(note) < distance(best) ? note : best), first);
    this.player.seek(nearest.start);
  }

  key(event) {
    const step = STEPS[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const buttons = [...this.track.children];
    const index = buttons.indexOf(event.target) + step;
    const next = buttons[Math.max(0, Math.min(buttons.length - 1, index))];
    this.choose(next);
    next.focus({ preventScroll: true });
  }

  /** Scrolls the waveform to the focused button. */
  reveal(target) {
    const index = [...this.track.children].indexOf(target);
    if (index >= 0) this.waveform.reveal(this.groups[index][0].start);
  }
}

/** The notes, in order, in lists of those that share a button. */
function grouped(notes, pixelsPerSecond) {
  const groups = [];
  for (const note of notes) {
    const last = groups.at(-1)?.at(-1);
    const isNear = last && (note.start - last.start) * pixelsPerSecond < BUTTON_PX;
    if (isNear) groups.at(-1).push(note);
    else groups.push([note]);
  }
  return groups;
}

function label({ kind, start, quote, body }) {
  const content = (body || quote).replace(/\s+/g, " ");
  const shown = content.length > MAX_LABEL_LENGTH ? `${content.slice(0, MAX_LABEL_LENGTH)}…` : content;
  return [`${formatDuration(start)} ${text(names, kind)}`, shown].filter(Boolean).join(": ");
}
