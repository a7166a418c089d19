/**
 * Sound from a microphone, from a tab or the system, or from both, as pieces of audio for the
 * server.
 */
const RATE_HZ = 24_000;
// By the name of the browser's error: see data-text-… of <sound-source>.
const PROBLEMS = {
  NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "noDevice",
  OverconstrainedError: "noDevice", NotReadableError: "inUse", AbortError: "inUse",
};

/** `key` selects the text that explains it. */
export class CaptureProblem extends Error {
  constructor(key) {
    super(key);
    this.key = key;
  }
}

/** Whether the browser can share the sound of tabs. */
export function canShare() {
  return Boolean(navigator.mediaDevices?.getDisplayMedia);
}

export class AudioCapture {
  /**
   * `source`: "microphone", "shared" or "both"; `device`: the id of a microphone, or empty;
   * `worklet`: the URL of pcm-worklet.js. Call it in response to a click. Rejects with
   * CaptureProblem.
   */
  static async open(source, device, worklet) {
    if (!navigator.mediaDevices || !window.AudioWorkletNode) throw new CaptureProblem("insecure");
    const capture = new AudioCapture();
    try {
      // The browser offers tabs only right after a click, so that comes first.
      if (source !== "microphone") capture.streams.push(await shared());
      if (source !== "shared") capture.streams.push(await microphone(device));
      await capture.connect(worklet);
    } catch (error) {
      capture.close();
      throw error;
    }
    return capture;
  }

  constructor() {
    this.streams = [];
    this.received = () => {}; // (data, peak): data is an ArrayBuffer
    this.interrupted = () => {}; // a device was unplugged, or sharing was stopped
  }

  async connect(worklet) {
    try {
      await this.build(new AudioContext({ sampleRate: RATE_HZ }), worklet);
    } catch (error) {
      if (error.name !== "NotSupportedError") throw error;
      await this.context.close(); // Firefox: streams have the device's sample rate
      await this.build(new AudioContext(), worklet);
    }
    for (const track of this.streams.flatMap((stream) => stream.getAudioTracks())) {
      track.addEventListener("ended", () => this.interrupted());
    }
  }

  async build(context, worklet) {
    this.context = context;
    const sources = this.streams.map((stream) => context.createMediaStreamSource(stream));
    await context.audioWorklet.addModule(worklet);
    this.node = new AudioWorkletNode(context, "pcm", {
      numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit",
    });
    this.node.port.onmessage = ({ data: message }) => {
      if (message === "flushed") this.flushed?.();
      else this.received(message.data, message.peak);
    };
    for (const source of sources) source.connect(this.node);
    await context.resume();
  }

  async pause() {
    await this.flush();
    await this.context.suspend();
  }

  resume() {
    return this.context.resume();
  }

  /** Resolves when all recorded audio has been received. */
  flush() {
    return new Promise((done) => {
      this.flushed = done;
      this.node.port.postMessage("flush");
    });
  }

  close() {
    for (const stream of this.streams) for (const track of stream.getTracks()) track.stop();
    if (this.context?.state !== "closed") this.context?.close();
  }
}

async function microphone(device) {
  const audio = { channelCount: 1, ...(device ? { deviceId: { exact: device } } : {}) };
  return navigator.mediaDevices.getUserMedia({ audio }).catch((error) => {
    throw new CaptureProblem(PROBLEMS[error.name] ?? "failed");
  });
}

/** Browsers share sound only together with a picture, which is not used. */
async function shared() {
  const stream = await navigator.mediaDevices.getDisplayMedia({
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    video: { frameRate: { max: 1 } },
    systemAudio: "include",
  }).catch((error) => {
    throw new CaptureProblem(error.name === "NotAllowedError" ? "notShared" : "failed");
  });
  if (stream.getAudioTracks().length) return stream;
  for (const track of stream.getTracks()) track.stop();
  throw new CaptureProblem("noSharedSound");
}
