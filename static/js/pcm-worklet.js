/**
 * The audio worklet "pcm": posts the input as { data, peak }: `data` is 24 kHz, 16 bit, mono, and
 * `peak` from 0 to 1. The message "flush" posts the last, incomplete piece, and then "flushed".
 */
import { Resampler } from "./resampler.js";

const RATE_HZ = 24_000;
const PIECE_SAMPLES = 2_400; // 100 ms

registerProcessor("pcm", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = sampleRate === RATE_HZ ? null : new Resampler(sampleRate, RATE_HZ);
    this.clear();
    this.port.onmessage = () => {
      this.post();
      this.port.postMessage("flushed");
    };
  }

  process([[samples]]) {
    if (!samples) return true; // nothing is connected
    for (const sample of this.resampler?.process(samples) ?? samples) {
      this.peak = Math.max(this.peak, Math.abs(sample));
      this.piece[this.length] = Math.round(Math.max(-1, Math.min(1, sample)) * 32_767);
      this.length += 1;
      if (this.length === PIECE_SAMPLES) this.post();
    }
    return true;
  }

  post() {
    if (!this.length) return;
    const { buffer } = this.piece.slice(0, this.length); // in the byte order of the device: little-endian on all of them
    this.port.postMessage({ data: buffer, peak: Math.min(1, this.peak) }, [buffer]);
    this.clear();
  }

  clear() {
    this.piece = new Int16Array(PIECE_SAMPLES);
    this.length = 0;
    this.peak = 0;
  }
});
