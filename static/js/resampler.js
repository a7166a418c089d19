/**
 * Changes the sample rate of audio that arrives in blocks, with a windowed sinc: frequencies above
 * the new range are filtered out, or they would be heard as other tones.
 */
const CROSSINGS = 16; // zero crossings of the sinc on each side
const PHASES = 256; // positions between two samples for which coefficients are computed
const ROLL_OFF = 0.94; // of the band: the filter is not infinitely steep

export class Resampler {
  constructor(from, to) {
    this.step = from / to; // input samples per output sample
    const cutoff = ROLL_OFF * Math.min(1, to / from);
    this.half = Math.ceil(CROSSINGS / cutoff);
    this.filters = Array.from({ length: PHASES }, (_, phase) => filter(this.half, cutoff, phase / PHASES));
    this.waiting = new Float32Array(this.half); // begins with silence
    this.position = this.half - 1; // of the next output sample, in `waiting`
  }

  /** The samples that are complete with this block. */
  process(block) {
    const { half, step } = this;
    const samples = new Float32Array(this.waiting.length + block.length);
    samples.set(this.waiting);
    samples.set(block, this.waiting.length);
    const out = [];
    while (this.position + half < samples.length) {
      const first = Math.floor(this.position);
      const coefficients = this.filters[Math.floor((this.position - first) * PHASES)];
      let sum = 0;
      for (let k = 0; k < coefficients.length; k += 1) sum += coefficients[k] * samples[first - half + 1 + k];
      out.push(sum);
      this.position += step;
    }
    const done = Math.floor(this.position) - half + 1;
    this.waiting = samples.slice(done);
    this.position -= done;
    return Float32Array.from(out);
  }
}

/** Coefficients for a position `fraction` after the middle; their sum is 1. */
function filter(half, cutoff, fraction) {
  const values = Float32Array.from({ length: 2 * half }, (_, k) => {
    const x = k - half + 1 - fraction;
    const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / half);
    const argument = Math.PI * cutoff * x;
    return Math.abs(x) < half ? window * (argument ? Math.sin(argument) / argument : 1) : 0;
  });
  const sum = values.reduce((total, value) => total + value, 0);
  return values.map((value) => value / sum);
}
