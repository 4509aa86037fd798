// One picture: by WebRTC, or as Motion JPEG where that does not get through.

import { withDuration } from "./webm.js";

const PATIENCE = 8000; // milliseconds for the first picture by WebRTC
const STILL = 10000; // milliseconds in which a source that moves has to bring a picture
const RETRY = 60000; // milliseconds before WebRTC is tried again beside Motion JPEG; then twice as many
const SOON = 5000; // the same where it has got through before
const LONGEST_RETRY = 16 * RETRY;
const PAUSE = 2000; // milliseconds before Motion JPEG that broke off is asked for again
const COUNTED = 3; // seconds over which the rate is taken
const MOST_PLAIN = 5; // browsers have six connections to a server, and the page needs one itself
const OWN = "camera";
const plain = new Set(); // the tiles that show Motion JPEG

export class Tile {
  frames = 0; // shown so far
  delay = null; // milliseconds from a picture's arrival here until it is on the screen
  way = null; // half the round trip, in milliseconds
  recording = null;
  note = null; // what is said where the server has nothing to say
  moves = false; // whether the server has pictures of it at this moment
  #counted = [];
  #decoded = 0; // pictures that came by this connection
  #moved = 0; // when the last of them did
  #retry = RETRY;
  #worked = false; // whether WebRTC has ever brought a picture here
  #ending = false; // whether somebody ended the recording, or its picture did
  #connection = null;
  #camera = null;
  #timer = 0;
  #live;

  constructor(key, name, live) {
    this.key = key;
    this.name = name;
    this.#live = live;
    this.root = document.createElement("figure");
    this.root.className = "tile";
    this.root.innerHTML = `
      <video muted autoplay playsinline disablepictureinpicture></video>
      <p class="problem" role="status"></p>
      <button type="button" class="cover"></button>
      <figcaption class="caption"><b></b><span></span></figcaption><i class="mark"></i>`;
    this.video = this.root.querySelector("video");
    this.image = null;
    this.cover = this.root.querySelector(".cover");
    this.cover.setAttribute("aria-label", `Show ${name} alone`);
    this.root.querySelector("b").textContent = name;
    this.#count();
  }

  /** Begins; `camera` is a visitor's own MediaStream. */
  async start({ camera = null, plain = false } = {}) {
    this.stop();
    this.#retry = this.#worked ? SOON : RETRY;
    await this.#connect(camera, plain);
  }

  async #connect(camera, plain = false) {
    this.#camera = camera;
    if (plain || !("RTCPeerConnection" in window)) return this.#fallBack();
    const connection = new RTCPeerConnection();
    this.#connection = connection;
    this.#decoded = 0;
    this.#moved = performance.now();
    const transceiver = camera
      ? connection.addTransceiver(camera.getVideoTracks()[0], { direction: "sendrecv", streams: [camera] })
      : connection.addTransceiver("video", { direction: "recvonly" });
    // Now is what counts: nothing is held back for smoothness.
    if ("jitterBufferTarget" in transceiver.receiver) transceiver.receiver.jitterBufferTarget = 0;
    connection.ontrack = ({ track }) => { this.video.srcObject = new MediaStream([track]); };
    connection.onconnectionstatechange = () => {
      if (connection === this.#connection && connection.connectionState === "failed") this.#again();
    };
    const before = this.frames;
    this.#timer = setTimeout(() => {
      const connected = connection.connectionState === "connected";
      if (connection === this.#connection && !connected && this.frames === before) this.#fallBack();
    }, PATIENCE);
    await connection.setLocalDescription();
    if (connection !== this.#connection) return;
    const { sdp } = connection.localDescription;
    this.#live.send(camera ? { type: "visit", sdp } : { type: "watch", room: this.key, sdp });
  }

  async answer(sdp) {
    const connection = this.#connection;
    if (connection?.signalingState === "have-local-offer")
      await connection.setRemoteDescription({ type: "answer", sdp });
  }

  stop() {
    this.#disconnect();
    this.#camera?.getTracks().forEach((track) => track.stop());
    this.#camera = null;
    this.#hidePlain();
    this.delay = this.way = null;
  }

  #disconnect() {
    clearTimeout(this.#timer);
    this.#connection?.close();
    this.#connection = null;
    this.video.srcObject = null;
  }

  /** The picture that is on the screen, for drawing it elsewhere. */
  get picture() {
    return this.image ?? this.video;
  }

  get running() {
    return this.#connection !== null || this.image !== null;
  }

  say(problem) {
    const place = this.root.querySelector(".problem");
    if (place.textContent !== (problem ?? "")) place.textContent = problem ?? "";
  }

  caption(text) {
    this.root.querySelector(".caption span").textContent = text;
  }

  /** Once a second: how many pictures a second were shown lately. */
  count(now) {
    this.#counted.push({ frames: this.frames, now });
    const { frames, now: then } = this.#counted[0];
    if (now > then) this.rate = (1000 * (this.frames - frames)) / (now - then);
    if (this.#counted.length > COUNTED) this.#counted.shift();
  }

  /** Once a second: how the connection is, and whether it still brings pictures. */
  async look() {
    const connection = this.#connection;
    const report = await connection?.getStats();
    if (!report || connection !== this.#connection) return;
    let decoded = 0;
    report.forEach((one) => {
      if (one.type === "inbound-rtp") decoded += one.framesDecoded ?? 0;
      if (one.type === "candidate-pair" && one.nominated && one.currentRoundTripTime !== undefined)
        this.way = 500 * one.currentRoundTripTime;
    });
    const now = performance.now();
    if (decoded !== this.#decoded || !this.moves || document.hidden || this.recording) this.#moved = now;
    this.#decoded = decoded;
    if (decoded) this.#worked = true;
    if (decoded && !this.recording) this.#hidePlain();
    const patience = decoded ? STILL : 3 * STILL; // a slow machine takes a while to begin
    if (now - this.#moved > patience && connection.connectionState !== "connecting") this.#again();
  }

  record() {
    if (this.recording) {
      this.#ending = true;
      return this.recording.stop();
    }
    this.#ending = false;
    const chunks = [];
    const [stream, end] = this.#stream();
    const type = ["video/webm;codecs=vp8", "video/mp4"].find((one) => MediaRecorder.isTypeSupported(one));
    const recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 6e6 });
    const began = performance.now(); // what says that it has begun comes late on a busy machine
    recorder.ondataavailable = ({ data }) => chunks.push(data);
    recorder.onstop = async () => {
      const [seconds, wanted] = [(performance.now() - began) / 1000, this.#ending];
      end();
      this.recording = null;
      delete this.root.dataset.recording;
      this.onrecorded?.(await withDuration(new Blob(chunks, { type }), seconds), wanted);
    };
    recorder.start(1000);
    this.recording = recorder;
    this.root.dataset.recording = "";
  }

  #stream() {
    if (this.video.srcObject) return [this.video.srcObject.clone(), () => {}];
    const canvas = document.createElement("canvas");
    canvas.width = this.image.naturalWidth;
    canvas.height = this.image.naturalHeight;
    const context = canvas.getContext("2d");
    const timer = setInterval(() => this.image && context.drawImage(this.image, 0, 0), 33);
    return [canvas.captureStream(30), () => clearInterval(timer)];
  }

  /** A network that was away, or a machine that slept, is no reason for Motion JPEG. */
  #again() {
    if (this.#decoded && !this.#camera) this.start();
    else this.#fallBack();
  }

  #fallBack() {
    if (this.key === OWN) {
      this.stop();
      return this.say("Your camera does not get through to the server by WebRTC.");
    }
    const tried = this.#connection !== null;
    this.#disconnect();
    this.#live.send({ type: "leave", room: this.key });
    if (!this.image) this.#showPlain();
    if (!tried) return; // nobody wants WebRTC here, or the browser has none
    this.#tryLater();
  }

  #tryLater() {
    this.#timer = setTimeout(() => (this.recording ? this.#tryLater() : this.#connect(null)), this.#retry);
    this.#retry = Math.min(2 * this.#retry, LONGEST_RETRY);
  }

  #showPlain() {
    if (plain.size >= MOST_PLAIN) {
      this.note = "Without WebRTC browsers show five pictures at once. A click shows this one.";
      return;
    }
    plain.add(this);
    const image = new Image();
    image.alt = `${this.name}, live`;
    const ask = () => { image.src = `api/rooms/${encodeURIComponent(this.key)}/mjpeg?${Date.now()}`; };
    image.onerror = () => setTimeout(() => { if (image === this.image) ask(); }, PAUSE);
    ask();
    this.image = image;
    this.video.hidden = true;
    this.video.after(image);
  }

  #hidePlain() {
    const image = this.image;
    this.image = this.note = null;
    plain.delete(this);
    if (image) {
      image.src = ""; // browsers go on loading what is no longer in the page
      image.remove();
    }
    this.video.hidden = false;
  }

  #count() {
    if (!("requestVideoFrameCallback" in this.video)) return;
    const shown = (now, about) => {
      this.frames += 1;
      if (about.receiveTime !== undefined) {
        const delay = about.expectedDisplayTime - about.receiveTime;
        this.delay = this.delay === null ? delay : this.delay + (delay - this.delay) / 8;
      }
      this.video.requestVideoFrameCallback(shown);
    };
    this.video.requestVideoFrameCallback(shown);
  }
}
