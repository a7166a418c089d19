/**
 * <transcript-bar>: the bar that stays at the top. It shows the title once the heading has scrolled
 * away, and places its popovers below their buttons.
 */
const GAP_PX = 6, EDGE_PX = 8;

customElements.define("transcript-bar", class extends HTMLElement {
  connectedCallback() {
    const heading = document.querySelector(".transcript-head h1");
    const title = this.querySelector(".bar-title");
    new IntersectionObserver(([entry]) => {
      this.classList.toggle("scrolled", entry.boundingClientRect.bottom < this.offsetHeight && !entry.isIntersecting);
    }, { rootMargin: `-${this.offsetHeight}px 0px 0px` }).observe(heading);
    new MutationObserver(() => { title.textContent = heading.textContent; })
      .observe(heading, { childList: true, characterData: true, subtree: true });
    title.addEventListener("click", () => window.scrollTo({ top: 0 }));
    for (const panel of this.querySelectorAll("[popover]")) {
      panel.addEventListener("beforetoggle", (event) => { if (event.newState === "open") this.place(panel); });
    }
    // A dialog of the menu appears in front of it, and the menu closes with the dialog.
    this.addEventListener("close", (event) => event.target.closest("[popover]")?.hidePopover(), true);
  }

  place(panel) {
    const button = this.querySelector(`[popovertarget="${panel.id}"]`).getBoundingClientRect();
    panel.style.insetBlockStart = `${button.bottom + GAP_PX}px`;
    const free = `calc(100dvh - ${button.bottom + GAP_PX + EDGE_PX}px)`; // without what stays visible below it
    panel.style.maxHeight = `max(min(14rem, ${free}), ${free} - var(--below-menu, 0px))`;
    const isRtl = getComputedStyle(this).direction === "rtl";
    const edge = isRtl ? button.left : document.documentElement.clientWidth - button.right;
    const farthest = document.documentElement.clientWidth - widthOf(panel) - EDGE_PX;
    panel.style.insetInlineEnd = `${Math.max(EDGE_PX, Math.min(edge, farthest))}px`;
  }
});

/** The width of a popover that is about to open and has no box yet. */
function widthOf(panel) {
  panel.style.display = "block";
  const width = panel.offsetWidth;
  panel.style.display = "";
  return width;
}
