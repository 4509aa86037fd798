// Puts the page together: which pictures are shown, what is said of the one that is chosen.

import { Connection, signIn, tokenOfLink } from "./connection.js";
import { Chart, COLOURS } from "./chart.js";
import { Controls } from "./controls.js";
import { Tile } from "./tile.js";

const find = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const OWN = "camera";
const live = new Connection();
const chart = new Chart(find("chart"));
const tiles = new Map();
const settings = new Map();
const controls = new Controls((wish) => live.send({ type: "set", room: active, ...wish }));
let hello = null;
let active = null; // the source that figures and controls are about
let alone = asked.get("source"); // the one that is shown, or null for all
let snapshotName = "snapshot.png";
let saidTimer = 0;
let visitAtOnce = false; // the visitor's camera was asked for before there was anything
let token = tokenOfLink(); // in memory alone: a server that was started again knows no session

if (asked.has("kiosk")) document.body.dataset.kiosk = "";
if (innerWidth < 761) document.body.dataset.panel = "on";

/** A wall is looked at and never touched: its screen must not go dark. */
function stayAwake() {
  if (!asked.has("kiosk") || document.hidden) return;
  navigator.wakeLock?.request("screen").catch((error) => console.debug(`the screen may go dark: ${error}`));
}

// What is shown

function shown() {
  return [...tiles.values()].filter((tile) => alone === null || tile.key === alone);
}

function arrange() {
  const visible = shown();
  for (const tile of tiles.values()) {
    tile.root.hidden = !visible.includes(tile);
    const wanted = visible.includes(tile) && !document.hidden;
    if (tile.key === OWN) continue;
    if (wanted && !tile.running) tile.start({ plain: asked.has("mjpeg") });
    if (!wanted && tile.running && !tile.recording) {
      tile.stop();
      live.send({ type: "leave", room: tile.key });
    }
  }
  find("stage").style.setProperty("--columns", columnsFor(visible));
  find("stage").dataset.count = visible.length;
  if (!visible.some((tile) => tile.key === active)) choose(visible[0]?.key ?? null);
  for (const tab of find("sources").children) {
    const here = tab.dataset.key === (alone ?? "");
    tab.setAttribute("aria-pressed", here);
  }
}

/** The number of columns with which pictures are largest. */
function columnsFor(visible) {
  const { clientWidth: width, clientHeight: height } = find("stage");
  const { videoWidth, videoHeight } = visible[0]?.video ?? {};
  const shape = videoHeight ? videoWidth / videoHeight : 4 / 3;
  let best = 1, largest = 0;
  for (let columns = 1; columns <= visible.length; columns += 1) {
    const size = Math.min(width / columns, (height / Math.ceil(visible.length / columns)) * shape);
    if (size > largest) [best, largest] = [columns, size];
  }
  return best;
}

function choose(key) {
  if (key !== active) chart.clear();
  active = key;
  for (const tile of tiles.values()) tile.root.toggleAttribute("data-active", tile.key === key);
  find("figures-of").textContent = tiles.get(key)?.name ?? "";
  find("controls").toggleAttribute("data-own", key === OWN);
  if (!hello || !key) return;
  controls.offer(hello.looks[key] ?? Object.values(hello.looks)[0], hello.models);
  if (settings.has(key)) controls.begin(settings.get(key));
}

function show(key) {
  alone = key !== null && tiles.has(key) ? key : null;
  if (alone !== null) choose(alone);
  arrange();
}

function addTile(key, name) {
  const tile = new Tile(key, name, live);
  tile.cover.onclick = () => (alone === null && tiles.size > 1 ? show(key) : show(null));
  tile.cover.onfocus = () => choose(key);
  tile.onrecorded = (blob, wanted) => {
    save(blob, `${name}-${stamp()}.${blob.type.includes("mp4") ? "mp4" : "webm"}`);
    say(wanted ? "Saved the recording." : `The recording of ${name} ended, as the connection did. What there is of it is saved.`);
    sayRecording();
  };
  tile.video.onresize = arrange;
  tiles.set(key, tile);
  find("stage").append(tile.root);
  return tile;
}

function addTab(key, name, onclick) {
  const tab = document.createElement("button");
  Object.assign(tab, { type: "button", textContent: name, onclick });
  tab.dataset.key = key;
  tab.setAttribute("aria-pressed", "false");
  find("sources").append(tab);
}

function makeTabs() {
  find("sources").replaceChildren();
  if (hello.rooms.length > 1) addTab("", "All", () => show(null));
  for (const room of hello.rooms) addTab(room.key, room.name, () => show(room.key));
  if (hello.camera) addTab(OWN, "Your camera", visit);
}

// The visitor's own camera

async function visit() {
  if (!hello) { visitAtOnce = true; return; }
  if (tiles.has(OWN)) return show(OWN);
  if (!hello.camera) return say("Visitors' cameras are not taken here.");
  if (!navigator.mediaDevices) return say("Browsers give their camera to https pages only.");
  let camera;
  try {
    camera = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } }, audio: false,
    });
  } catch (error) {
    return say(`The camera cannot be used: ${error.message || error.name}`);
  }
  camera.getVideoTracks()[0].onended = () => { // it was pulled out, or taken away in the browser
    if (tiles.has(OWN)) { endVisit(); say("Your camera is gone."); }
  };
  const tile = addTile(OWN, "Your camera");
  const off = document.createElement("button");
  Object.assign(off, { type: "button", className: "off", textContent: "Turn off", onclick: endVisit });
  tile.root.append(off);
  tile.say("Your picture goes to this server, through the model and back to you alone.");
  await tile.start({ camera });
  show(OWN);
}

function endVisit() {
  tiles.get(OWN)?.stop();
  tiles.get(OWN)?.root.remove();
  tiles.delete(OWN);
  settings.delete(OWN);
  live.send({ type: "bye" });
  show(null);
}

// What the server says

live.on("hello", (message) => {
  // A server of another version: its page goes with it.
  if (hello && hello.page !== message.page) return location.reload();
  find("door").close();
  const same = hello && JSON.stringify(hello.rooms) === JSON.stringify(message.rooms);
  hello = message;
  mark("live", "live");
  document.body.dataset.controls = message.controls ? "on" : "off";
  if (!same) {
    for (const tile of tiles.values()) { tile.stop(); tile.root.remove(); }
    tiles.clear();
    for (const room of message.rooms) addTile(room.key, room.name);
  } else {
    // The server does not know a page that comes back.
    if (tiles.has(OWN)) { endVisit(); say("Your camera was turned off, as the connection was lost."); }
    for (const tile of tiles.values()) tile.stop();
  }
  makeTabs();
  if (!tiles.has(alone)) alone = null;
  if (alone === null && tiles.size === 1) active = null;
  arrange();
  if (visitAtOnce) visit();
  visitAtOnce = false;
});

live.on("answer", ({ room, sdp }) => tiles.get(room)?.answer(sdp));
live.on("ended", ({ room }) => { if (room === OWN && tiles.has(OWN)) { endVisit(); say("Your camera was turned off."); } });
live.on("refused", ({ of, why }) => {
  say(`${why[0].toUpperCase()}${why.slice(1)}.`);
  if (of === "visit" && tiles.has(OWN)) endVisit();
  if (of === "set" && settings.has(active)) controls.hear({ ...settings.get(active), done: true });
});
live.on("settings", (message) => {
  settings.set(message.room, message);
  if (message.room === active) controls.hear(message);
});
live.on("snapshot", ({ name }) => { snapshotName = name; });
live.on("picture", (data) => { save(new Blob([data], { type: "image/png" }), snapshotName); say("Saved a snapshot."); });
live.on("gone", async ({ greeted }) => {
  mark("gone", "no connection");
  if (greeted) return;
  for (const tile of tiles.values()) {
    tile.say("No connection to the server. The picture comes back by itself.");
    tile.caption("");
  }
  await enter();
});
live.on("silent", () => {
  mark("gone", "no answer");
  for (const tile of tiles.values()) {
    tile.say("The server does not answer. The picture comes back by itself.");
    tile.caption("");
  }
  for (const figure of ["fps", "latency", "count"]) write(figure, "–");
});
live.on("state", ({ rooms, sent }) => {
  mark("live", "live");
  for (const tile of tiles.values()) {
    const room = rooms[tile.key];
    if (!room) continue;
    tile.say(room.problem ?? tile.note);
    tile.moves = room.fps > 0;
    tile.latency = room.latency === undefined ? null : (sent[tile.key] ?? room.latency) + (tile.way ?? 0) + (tile.delay ?? 0);
    if (tile.image) tile.rate = room.fps;
    const about = tile.rate === undefined ? [] : [`${Math.round(tile.rate)} fps`];
    tile.caption(room.problem ? "" : [...about, `${(room.objects ?? []).length} in view`].join(" · "));
  }
  if (rooms[active]) figures(rooms[active], tiles.get(active));
});

function figures(room, tile) {
  write("fps", tile.rate === undefined ? "–" : Math.round(tile.rate));
  write("latency", tile.latency === null ? "–" : Math.round(tile.latency));
  write("count", room.objects.length);
  write("provider", [room.provider, room.size?.join("×"), `${room.viewers} watching`].filter(Boolean).join(" · "));
  const stuck = room.stuck === 1 ? "An output" : `${room.stuck} outputs`;
  write("stuck", room.stuck ? `${stuck} cannot be written at present; the server's log says why.` : "");
  chart.add(room.stages ?? {}, tile.latency);
  const stages = Object.keys(COLOURS).filter((name) => name in (room.stages ?? {}));
  rows(find("legend"), stages, () => `<dt><i class="dot"></i><span></span></dt><dd></dd>`, "div", (row, name) => {
    row.querySelector("i").style.background = COLOURS[name];
    row.querySelector("span").textContent = name;
    row.querySelector("dd").textContent = room.stages[name].toFixed(1);
  });
  rows(find("objects"), room.objects, () => `<i class="dot"></i><span></span><span></span>`, "li", (row, one) => {
    row.children[0].style.background = one.colour;
    row.children[1].textContent = `${one.name} ${one.number}`;
    row.children[2].textContent = `${Math.round(100 * one.score)} %`;
  });
}

function rows(list, items, make, tag, fill) {
  while (list.children.length > items.length) list.lastElementChild.remove();
  while (list.children.length < items.length) {
    const row = document.createElement(tag);
    row.innerHTML = make();
    list.append(row);
  }
  items.forEach((item, index) => fill(list.children[index], item));
}

// Small things

function write(id, text) {
  if (find(id).textContent !== String(text)) find(id).textContent = text;
}

function mark(state, text) {
  find("connection").dataset.state = state;
  write("connection", text);
}

function say(text) {
  write("said", text);
  clearTimeout(saidTimer);
  saidTimer = setTimeout(() => write("said", ""), 8000);
}

function stamp() {
  const now = new Date();
  now.setMinutes(now.getMinutes() - now.getTimezoneOffset());
  return now.toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function record() {
  const tile = tiles.get(active);
  if (!tile?.running) return;
  tile.record();
  sayRecording();
}

function sayRecording() {
  const on = [...tiles.values()].some((tile) => tile.recording);
  find("record").setAttribute("aria-pressed", on);
  write("record", on ? "Stop recording" : "Record");
}

function togglePanel() {
  const off = document.body.dataset.panel === "off";
  document.body.dataset.panel = off ? "on" : "off";
  find("toggle-panel").setAttribute("aria-expanded", off);
  arrange();
}

function toggleTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.();
}

/** Signs in with the token that there is, or asks for one where it is needed. */
async function enter() {
  const status = await signIn(token ?? "").catch(() => 0);
  if (status !== 401) return;
  token = null; // not tried over and over, or nobody else at this address could come in
  openDoor();
}

function openDoor() {
  if (!find("door").open) find("door").showModal();
}

const REFUSED = { 401: "This is not the token.", 429: "Too many tries; wait a minute." };

find("sign-in").onsubmit = async (event) => {
  event.preventDefault();
  const given = find("token").value, status = await signIn(given).catch(() => 0);
  if (status === 200) {
    token = given;
    find("token").value = "";
    return find("door").close();
  }
  write("wrong", REFUSED[status] ?? "The server does not answer.");
};
find("door").oncancel = (event) => event.preventDefault();
find("theme").onclick = toggleTheme;
find("keys").onclick = () => find("help").showModal();
find("fullscreen").onclick = fullScreen;
find("toggle-panel").onclick = togglePanel;
find("snapshot").onclick = () => live.send({ type: "snapshot", room: active });
find("record").onclick = record;

const KEYS = {
  0: () => show(null), Escape: () => show(null), c: visit, m: () => controls.nextLook(), l: () => controls.toggleLabels(),
  "+": () => controls.moveThreshold(1), "=": () => controls.moveThreshold(1), "-": () => controls.moveThreshold(-1),
  s: () => find("snapshot").click(), r: record, f: fullScreen, p: togglePanel, "?": () => find("help").showModal(),
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, select, textarea")) return;
  const act = /^[1-9]$/.test(event.key) ? () => show([...tiles.keys()][event.key - 1] ?? null) : KEYS[event.key];
  if (act) { event.preventDefault(); act(); }
});
addEventListener("resize", arrange);
document.addEventListener("visibilitychange", () => { arrange(); stayAwake(); });

setInterval(() => {
  for (const tile of shown()) {
    if (!tile.image) tile.count(performance.now());
    tile.look();
  }
}, 1000);

stayAwake();
await enter();
setInterval(enter, 3600000); // sessions end when nobody asks for anything for half a day
live.open();
