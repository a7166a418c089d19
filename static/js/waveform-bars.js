/** The bars of a waveform: RMS, with the peaks as their outline. */
const BAR_PX = 2, GAP_PX = 1;
export const STEP_PX = BAR_PX + GAP_PX; // from bar to bar
const OUTLINE_ALPHA = 0.3;
const LOUDEST_SHARE = 0.75; // of the height, for the loudest RMS

/** RMS and peaks, 0 to 1. The loudest RMS of a recording has nearly the full height. */
export function inUnits({ rms, peaks }) {
  const loudest = [...rms].sort((a, b) => a - b)[Math.floor(rms.length * 0.99)] || 255;
  const bars = rms.map((value) => Math.min(1, (value / loudest) * LOUDEST_SHARE));
  return [bars, peaks.map((value, index) => Math.max(bars[index], value / 255))];
}

/** Draws the part of the waveform that a canvas shows. */
export function drawBars([rms, peaks], context) {
  const { width, height } = context.canvas;
  const ratio = devicePixelRatio || 1;
  const step = STEP_PX * ratio;
  const count = Math.max(1, Math.round(width / step));
  const bar = (index, value) => {
    const size = Math.max(ratio, value * height);
    context.fillRect(index * step, (height - size) / 2, BAR_PX * ratio, size);
  };
  for (let index = 0; index < count; index++) {
    const from = Math.floor((index * rms.length) / count);
    const to = Math.max(from + 1, Math.floor(((index + 1) * rms.length) / count));
    let power = 0, peak = 0;
    for (let point = from; point < to && point < rms.length; point++) {
      power += rms[point] ** 2;
      peak = Math.max(peak, peaks[point]);
    }
    context.globalAlpha = OUTLINE_ALPHA;
    bar(index, peak);
    context.globalAlpha = 1;
    bar(index, Math.sqrt(power / (to - from)));
  }
}
