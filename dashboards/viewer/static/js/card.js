// One card a device.

import { hopBlock } from "./hops.js";
import { gauges, ledgerBlock } from "./ledger.js";
import { View } from "./picture.js";
import { badge, clock, count, el, shape } from "./words.js";

const STATES = {
  ready: ["good", "ready"], sending: ["good", "sending"], init: ["wait", "starting"], alert: ["warn", "alert"],
  silent: ["wait", "silent since"], lost: ["bad", "lost since"], disconnected: ["off", "off since"], unknown: ["off", "no word yet"],
};

/** What a device is doing, from its status, its last word and its newest result; `now` in Unix seconds. */
export function stateOf(device, now, silentAfter) {
  const said = device.status?.state;
  const at = device.status ? Date.parse(device.status.at) / 1000 : null;
  if (said === "lost" || said === "disconnected") return { name: said, since: at };
  const last = device.heard_at ?? (device.newest ? Date.parse(device.newest.result.at) / 1000 : null);
  if (last === null) return { name: said ?? "unknown", since: null };
  if (now - last > silentAfter) return { name: "silent", since: last };
  return { name: said ?? "sending", since: null };
}

export class Card {
  constructor(device, open) {
    this.view = new View({ open, tags: 8 });
    this.title = el("h3", {}, el("small", {}, device.site), device.device);
    this.chip = el("span", { class: "state" });
    this.alerts = el("ul", { class: "alerts" });
    this.result = el("div", {});
    this.books = el("div", {});
    this.element = el("article", { class: "card", "aria-label": `${device.site} ${device.device}` },
      el("div", { class: "card-head" }, this.title, this.chip), this.view.element, this.alerts, this.result, this.books);
    this.drawn = {};
  }

  /** Draw what has changed since the last time. */
  draw(device, now, silentAfter) {
    this.drawState(device, now, silentAfter);
    if (this.differs("newest", device.newest)) this.drawResult(device.newest);
    if (this.differs("telemetry", device.telemetry)) this.drawBooks(device);
    this.differs("alerts", [device.alerts, device.rejection, device.status]) && this.drawAlerts(device);
  }

  differs(name, value) {
    const text = JSON.stringify(value);
    const changed = this.drawn[name] !== text;
    this.drawn[name] = text;
    return changed;
  }

  drawState(device, now, silentAfter) {
    const state = stateOf(device, now, silentAfter);
    if (!this.differs("state", state)) return;
    const [form, words] = STATES[state.name] ?? STATES.unknown;
    const since = state.since ? ` ${clock(new Date(state.since * 1000), { seconds: false })}` : "";
    this.chip.replaceChildren(shape(form), words + since);
    this.chip.dataset.state = state.name;
    this.state = state.name;
    this.mark(device);
  }

  mark(device) {
    const lost = this.state === "lost" || (device.ledger && !device.ledger.closes);
    this.element.dataset.trouble = lost ? "lost" : "none";
  }

  drawResult(newest) {
    if (!newest) return;
    const { result } = newest;
    this.view.show(newest);
    const verdict = el("div", { class: "verdict" }, badge(result.decision));
    if (result.reason) verdict.append(el("span", { class: "why", title: result.reason }, result.reason));
    const fact = (name, value) => el("span", {}, `${name} `, el("b", {}, value));
    const facts = el("div", { class: "facts" }, fact("slide", result.slide ?? "–"), fact("frame", result.seq === null ? "–" : count(result.seq)),
      fact("cells", count(result.cells.length)), fact("at", clock(new Date(result.captured_at ?? result.at))));
    this.result.replaceChildren(verdict, facts, hopBlock(result.latency_ms));
  }

  drawBooks(device) {
    if (!device.telemetry || !device.ledger) return;
    this.books.replaceChildren(ledgerBlock(device.ledger), gauges(device.telemetry));
    this.mark(device);
  }

  drawAlerts(device) {
    const lines = device.alerts.map((alert) => ["warn", alert.text || alert.name]);
    const reason = device.status?.state === "alert" ? device.status.reason : null;
    if (reason && !lines.some(([, text]) => reason.includes(text))) lines.unshift(["warn", reason]);
    if (device.rejection) {
      const at = clock(new Date(device.rejection.at));
      lines.push(["off", `last rejected at ${at}: ${device.rejection.reason ?? "no reason given"}`]);
    }
    this.alerts.replaceChildren(...lines.map(([form, text]) => el("li", {}, shape(form), el("span", {}, text))));
  }
}
