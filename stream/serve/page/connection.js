// The WebSocket to the server: messages in and out, and coming back after it was lost.

const FIRST_PAUSE = 500, LONGEST_PAUSE = 8000;

/** Asks for a session with the token of the link, or with one that was typed. */
export async function signIn(token) {
  const answer = await fetch("/api/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
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

  open() {
    const address = new URL("/api/live", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    let greeted = false;
    socket.onmessage = ({ data }) => {
      if (typeof data !== "string") return this.#tell("picture", data);
      const message = JSON.parse(data);
      if (message.type === "hello") {
        greeted = true;
        this.#pause = FIRST_PAUSE;
      }
      this.#tell(message.type, message);
    };
    socket.onclose = () => {
      this.#tell("gone", { greeted });
      setTimeout(() => this.open(), this.#pause);
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
    };
    this.#socket = socket;
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
