/** The list of speakers, and the bar with their shares of the speech. */

export class SpeakerList {
  /** `speakers` is the <transcript-speakers> that both are in. */
  constructor(speakers) {
    this.speakers = speakers;
    this.list = speakers.querySelector("ul");
    this.bar = speakers.querySelector(".talk-share");
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest("button")?.closest("li");
      if (row) speakers.showOnly(numberOf(row) === speakers.only ? null : numberOf(row));
    });
  }

  /** Shows the shares in these segments. `only` is the speaker whose paragraphs are not hidden. */
  show(segments, only) {
    const shares = this.shares(segments);
    const { children } = this.list;
    for (const [index, [number, share]] of shares.entries()) {
      const row = this.row(number, share, number === only);
      if (children[index] !== row) this.list.insertBefore(row, children[index] ?? null);
    }
    while (children.length > shares.length) this.list.lastElementChild.remove();
    this.bar.replaceChildren(...shares.map(([number, share]) => part(number, share)));
  }

  /** The numbers of all speakers, each with the share of the time that the segments last. */
  shares(segments) {
    const seconds = new Map([...this.speakers.names.keys()].map((number) => [number, 0]));
    for (const { speaker: number, start, end } of segments) {
      if (number) seconds.set(number, (seconds.get(number) ?? 0) + (end - start));
    }
    const total = [...seconds.values()].reduce((sum, each) => sum + each, 0) || 1;
    return [...seconds].sort(([a], [b]) => a - b).map(([number, each]) => [number, each / total]);
  }

  /** The existing row of a speaker, so that it keeps the focus, or a new one. */
  row(number, share, isPressed) {
    const existing = this.list.querySelector(`[data-speaker="${number}"]`);
    const row = existing ?? this.speakers.clone("[data-speaker-template]");
    setNumber(row, number);
    row.querySelector(".speaker-number").textContent = number;
    row.querySelector(".speaker-name").textContent = this.speakers.label(number);
    row.querySelector(".speaker-recognized").hidden = !this.speakers.isRecognized(number);
    row.querySelector(".speaker-share").textContent = share.toLocaleString(
      document.documentElement.lang, { style: "percent" },
    );
    row.querySelector("button").ariaPressed = String(isPressed);
    return row;
  }

  /** Focuses the speaker whose paragraphs are shown. */
  focus() {
    this.speakers.openList();
    this.list.querySelector("[aria-pressed=true]").focus();
  }
}

function part(number, share) {
  const element = document.createElement("span");
  setNumber(element, number);
  element.style.flexGrow = share;
  return element;
}

/** The number of the speaker to whom an element belongs; null if there is none. */
export function numberOf(element) {
  return Number(element?.dataset.speaker) || null;
}

/** Associates an element with a speaker, or with none. */
function setNumber(element, number) {
  if (!element) return;
  if (number) element.dataset.speaker = number;
  else delete element.dataset.speaker;
}
