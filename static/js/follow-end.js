/** Keeps the end of a growing page in sight, unless its reader has scrolled away from it. */
const NEAR = 160; // pixels

/** Call it before the page grows and what it returns afterwards; a button goes into `host`. */
export function keepTheEndInSight(host) {
  const near = isNear();
  return () => (near ? scroll() : offer(host));
}

function isNear() {
  const page = document.documentElement;
  return window.innerHeight + window.scrollY >= page.scrollHeight - NEAR;
}

function scroll() {
  window.scrollTo({ top: document.documentElement.scrollHeight });
}

function offer(host) {
  if (host.querySelector(".to-end")) return;
  const button = document.createElement("button");
  button.className = "button button-small to-end";
  button.type = "button";
  button.textContent = "New text below";
  button.addEventListener("click", scroll);
  const remove = () => {
    if (!isNear()) return;
    button.remove();
    window.removeEventListener("scroll", remove);
  };
  window.addEventListener("scroll", remove, { passive: true });
  host.append(button);
}
