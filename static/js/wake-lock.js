/** Keeps the screen on where browsers support it, and again after the page was hidden. */
let isWanted = false;
let lock = null;

export async function keepAwake(wanted) {
  isWanted = wanted;
  if (wanted) await request();
  else {
    await lock?.release().catch(() => {});
    lock = null;
  }
}

async function request() {
  if (document.hidden) return;
  lock = await navigator.wakeLock?.request("screen").catch(() => null) ?? null; // such as with a low battery
}

document.addEventListener("visibilitychange", () => isWanted && request());
