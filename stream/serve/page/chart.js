// The stages' milliseconds over the last minute, one on the other, and the latency as a line.

export const COLOURS = {
  decode: "#8a94a6", plan: "#b08cff", preprocess: "#e0a100", infer: "#0099ff", postprocess: "#00b38a",
  motion: "#dd6699", composite: "#cc5500", encode: "#5a8f3c",
};
const KEPT = 240; // states, four a second

export class Chart {
  #canvas;
  #points = [];

  constructor(canvas) {
    this.#canvas = canvas;
  }

  clear() {
    this.#points = [];
  }

  add(stages, latency) {
    this.#points.push({ stages, latency });
    if (this.#points.length > KEPT) this.#points.shift();
    this.#draw();
  }

  #draw() {
    const canvas = this.#canvas, scale = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    if (canvas.width !== Math.round(width * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const most = Math.max(40, ...this.#points.map((one) => Math.max(one.latency ?? 0, sum(one.stages))));
    const x = (index) => width - ((this.#points.length - 1 - index) * width) / (KEPT - 1);
    const y = (value) => height - 2 - (value / most) * (height - 18);
    const style = getComputedStyle(canvas);
    let below = this.#points.map(() => 0);
    for (const [name, colour] of Object.entries(COLOURS)) {
      const above = this.#points.map((one, index) => below[index] + (one.stages[name] ?? 0));
      pen.beginPath();
      above.forEach((value, index) => pen.lineTo(x(index), y(value)));
      for (let index = below.length - 1; index >= 0; index -= 1) pen.lineTo(x(index), y(below[index]));
      pen.fillStyle = colour;
      pen.fill();
      below = above;
    }
    pen.beginPath();
    this.#points.forEach((one, index) => { if (one.latency !== null) pen.lineTo(x(index), y(one.latency)); });
    pen.strokeStyle = style.color;
    pen.lineWidth = 1.5;
    pen.stroke();
    pen.fillStyle = style.color;
    pen.font = "11px system-ui, sans-serif";
    pen.fillText(`${Math.round(most)} ms`, 6, 12);
  }
}

function sum(stages) {
  return Object.values(stages).reduce((total, one) => total + one, 0);
}
