/** Seconds as m:ss or h:mm:ss, rounded down: the same as the template filter `duration`. */
export function formatDuration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** Seconds as h:mm:ss, always with hours, for quotations. */
export function formatClock(seconds) {
  const short = formatDuration(seconds);
  return seconds < 3600 ? `0:${short.padStart(5, "0")}` : short;
}
