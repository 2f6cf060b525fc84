// The page: loads the state, listens to events, and draws once a frame whatever has changed.

import { Card, stateOf } from "./card.js";
import { Charts } from "./charts.js";
import { Detail } from "./detail.js";
import { Header } from "./header.js";
import { Strip } from "./strip.js";
import { DECISIONS, el } from "./words.js";

const STALLED_MS = 6000;
const SPEECH_PAUSE_MS = 10_000;

const header = new Header();
const charts = new Charts();
const strip = new Strip((shown) => detail.open(shown));
const detail = new Detail(() => strip.items);
const grid = document.getElementById("devices");
const empty = document.getElementById("empty");
const devices = new Map();
const cards = new Map();
const dirty = new Set();
let silentAfter = 20;
let ahead = 0;
let lastWord = Date.now();
let frame = 0;
let loading = null;

const now = () => (Date.now() + ahead) / 1000;
const byName = new Intl.Collator("en", { numeric: true }).compare;
const nameOf = ({ site, device }) => `${site}/${device}`;

function change(name, part) {
  const [site, device] = name.split("/");
  const blank = { site, device, status: null, telemetry: null, ledger: null, heard_at: null, alerts: [], rejection: null, newest: null };
  devices.set(name, { ...(devices.get(name) ?? blank), ...part });
  dirty.add(name);
  frame ||= requestAnimationFrame(draw);
}

function draw() {
  frame = 0;
  for (const name of dirty) {
    if (!cards.has(name)) place(name);
    cards.get(name).draw(devices.get(name), now(), silentAfter);
  }
  dirty.clear();
}

/** A new card, in the order of names. */
function place(name) {
  const card = new Card(devices.get(name), (shown) => detail.open(shown));
  cards.set(name, card);
  const names = [...cards.keys()].sort(byName);
  const after = names[names.indexOf(name) + 1];
  grid.insertBefore(card.element, after ? cards.get(after).element : null);
  document.body.dataset.many = names.length <= 3 ? "few" : names.length <= 8 ? "some" : names.length <= 12 ? "many" : "crowd";
  empty.hidden = true;
  charts.names(names);
}

function forget(kept) {
  for (const name of [...cards.keys()].filter((one) => !kept.has(one))) {
    cards.get(name).element.remove();
    cards.delete(name);
    devices.delete(name);
    dirty.delete(name);
  }
}

function beat(pulse) {
  ahead = pulse.now * 1000 - Date.now();
  if (header.connected === true && !pulse.connected) say("The broker is not connected.");
  header.connected = pulse.connected;
  header.draw(pulse);
  charts.tick(pulse.now);
}

async function load() {
  const answer = await fetch("/api/state");
  if (!answer.ok) throw new Error(`state: ${answer.status}`);
  const state = await answer.json();
  silentAfter = state.silent_s;
  beat(state.pulse);
  forget(new Set(state.devices.map(nameOf)));
  for (const device of state.devices) change(nameOf(device), device);
  strip.decision ? strip.choose(strip.decision) : strip.set(state.recent);
  charts.range === "10" && !charts.device.value ? charts.draw(state.series) : charts.fetch();
  empty.hidden = state.devices.length > 0;
  empty.replaceChildren("No device has been heard yet. Start one, for example with ", el("code", {}, "leukostream device"), ".");
  header.link("good", "page live");
}

/** Load until it works: the server may be about to come back. */
function reload() {
  loading ??= load().catch(() => {
    header.link("wait", "page reconnecting");
    setTimeout(reload, 2000);
  }).finally(() => { loading = null; });
}

let spokenAt = 0;
function say(words) {
  if (Date.now() - spokenAt < SPEECH_PAUSE_MS) return;
  spokenAt = Date.now();
  document.getElementById("spoken").textContent = words;
}

const on = {
  hello: reload,
  result(shown) {
    const { result } = shown;
    change(nameOf(result), { newest: shown });
    strip.add(shown);
    if (result.decision === "blast") say(`${DECISIONS.blast} on ${result.device}, ${result.site}.`);
  },
  device(part) {
    change(nameOf(part), part);
    if (part.status?.state === "lost") say(`${part.device}, ${part.site}, is lost.`);
  },
  ledger: (part) => change(nameOf(part), part),
  tick: beat,
};

let stream = null;
/** Open the stream; a browser reconnects by itself, unless the server has refused. */
function connect() {
  if (stream && stream.readyState !== EventSource.CLOSED) return;
  stream = new EventSource("/events");
  for (const [kind, take] of Object.entries(on)) {
    stream.addEventListener(kind, (event) => {
      lastWord = Date.now();
      take(JSON.parse(event.data));
    });
  }
  stream.addEventListener("error", () => header.link("bad", "page reconnecting"));
}

connect();
setInterval(connect, 5000);
setInterval(() => {
  if (Date.now() - lastWord > STALLED_MS) header.link("bad", "page has no news");
  else if (stream.readyState === EventSource.OPEN && !loading) header.link("good", "page live");
  strip.flush();
  for (const [name, device] of devices) {
    if (cards.get(name) && stateOf(device, now(), silentAfter).name !== cards.get(name).state) change(name, {});
  }
}, 1000);
