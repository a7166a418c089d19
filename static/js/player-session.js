/** The media keys of keyboards, headsets and lock screens. */
import { settings } from "./player-memory.js";
import { run } from "./shortcuts.js";

export function connectMediaSession(player) {
  const session = navigator.mediaSession;
  if (!session) return;
  const title = document.querySelector("h1")?.textContent.trim() ?? "";
  session.metadata = new MediaMetadata({ title });
  const skip = (sign) => ({ seekOffset }) => {
    player.seek(player.currentTime + sign * (seekOffset || settings().step));
  };
  const handlers = {
    play: () => player.play(),
    pause: () => player.pause(),
    stop: () => player.pause(),
    seekbackward: skip(-1),
    seekforward: skip(1),
    seekto: ({ seekTime }) => player.seek(seekTime),
    previoustrack: () => run("previous-segment"),
    nexttrack: () => run("next-segment"),
  };
  for (const [action, handler] of Object.entries(handlers)) {
    try {
      session.setActionHandler(action, handler);
    } catch {} // not supported by this browser
  }
  player.addEventListener("player-state", () => showPosition(session, player));
}

function showPosition(session, { duration, currentTime, playbackRate }) {
  try {
    session.setPositionState({ duration, playbackRate, position: Math.min(currentTime, duration) });
  } catch {} // not shown by this browser
}
