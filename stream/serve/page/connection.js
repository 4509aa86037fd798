// The WebSocket to the server: messages in and out, and coming back after it was lost.

const FIRST_PAUSE = 500, LONGEST_PAUSE = 8000;
const SILENT = 5, DEAD = 15; // seconds without a word; the server says something four times in each
const ANSWER = 10000;

/** Asks for a session with the token of the link, or with one that was typed. */
export async function signIn(token) {
  const answer = await fetch("api/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
    signal: AbortSignal.timeout(ANSWER),
  });
  return answer.status;
}

/** Takes the token out of the address, so that it stays in no history and on no screen. */
export function tokenOfLink() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found) history.replaceState(null, "", location.pathname + location.search);
  return found;
}

export class Connection extends EventTarget {
  #socket = null;
  #pause = FIRST_PAUSE;
  #quiet = 0; // counted in seconds that the page was awake
  #end = null;

  constructor() {
    super();
    setInterval(() => this.#watch(), 1000);
  }

  open() {
    const address = new URL("api/live", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    let greeted = false;
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#quiet = 0;
      if (typeof data !== "string") return this.#tell("picture", data);
      const message = JSON.parse(data);
      if (message.type === "hello") {
        greeted = true;
        this.#pause = FIRST_PAUSE;
      }
      this.#tell(message.type, message);
    };
    socket.onclose = this.#end = () => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      this.#tell("gone", { greeted });
      setTimeout(() => this.open(), this.#pause);
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
    };
    this.#socket = socket;
    this.#quiet = 0;
  }

  /** A network that is gone, or a machine that stands still, closes nothing. */
  #watch() {
    const socket = this.#socket;
    if (!socket) return;
    this.#quiet += 1;
    if (this.#quiet === SILENT) this.#tell("silent");
    if (this.#quiet < DEAD) return;
    this.#end();
    socket.close(); // which itself would wait for an answer
  }

  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  on(type, hear) {
    this.addEventListener(type, (event) => hear(event.detail));
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
