/** Keeps the end of a growing page in view, unless the reader has scrolled away from it. */
const NEAR_END_PX = 160;

/**
 * Call this before the page grows, and the returned function afterwards: it scrolls to the new end,
 * or adds a button with `label` to `host` that does so.
 */
export function keepEndInView(host, label) {
  const near = isNear();
  return () => (near ? scroll() : addButton(host, label));
}

function isNear() {
  const page = document.documentElement;
  return window.innerHeight + window.scrollY >= page.scrollHeight - NEAR_END_PX;
}

function scroll() {
  window.scrollTo({ top: document.documentElement.scrollHeight });
}

function addButton(host, label) {
  if (host.querySelector(".scroll-to-end")) return;
  const button = document.createElement("button");
  button.className = "button button-small floating scroll-to-end";
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", scroll);
  const remove = () => {
    if (!isNear()) return;
    button.remove();
    window.removeEventListener("scroll", remove);
  };
  window.addEventListener("scroll", remove, { passive: true });
  host.append(button);
}
