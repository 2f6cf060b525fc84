// Rate and latency over time, drawn by uPlot (a global: the vendored file is a classic script).

import { duration, el, svg } from "./words.js";

const RANGES = [["10", "10 min"], ["60", "1 h"], ["1440", "24 h"]];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const pad = (number) => String(number).padStart(2, "0");
const times = (_plot, ticks) => ticks.map((t) => { const d = new Date(t * 1000); return `${pad(d.getHours())}:${pad(d.getMinutes())}`; });

/** A value without neighbours would not be visible as a line. */
function lonely(plot, series) {
  const values = plot.data[series];
  const has = (i) => values[i] !== null && values[i] !== undefined;
  return values.map((_, i) => i).filter((i) => has(i) && !has(i - 1) && !has(i + 1));
}

function options(holder, lines, axis, hover) {
  const grid = { stroke: colour("--line"), width: 1 };
  const font = "12px \"Liberation Sans\", Arial, sans-serif";
  const common = { stroke: colour("--muted"), grid, ticks: { show: false }, font };
  return {
    width: holder.clientWidth, height: holder.clientHeight, legend: { show: false }, padding: [10, 6, 0, 0],
    cursor: { drag: { x: false, y: false }, points: { size: 7 }, y: false },
    hooks: { setCursor: [(plot) => hover(plot.cursor.idx)] },
    scales: { y: { range: (_plot, _min, max) => [0, Math.max((max ?? 0) * 1.15, axis.least)] } },
    axes: [{ ...common, grid: { show: false }, values: times, space: 70, size: 26 }, { ...common, size: 46, space: 34, values: axis.values }],
    series: [{}, ...lines.map((line) => ({
      stroke: colour(line.colour), width: 2, dash: line.dash, fill: line.fill ? `${colour(line.colour)}22` : undefined,
      points: { show: true, size: 5, filter: lonely },
    }))],
  };
}

function sample(line) {
  const stroke = svg("line", { x1: 1, y1: 6, x2: 23, y2: 6, "stroke-width": 2.5, "stroke-dasharray": line.dash ? "5 4" : "none" });
  stroke.style.stroke = `var(${line.colour})`;
  const drawing = svg("svg", { viewBox: "0 0 24 12", "aria-hidden": "true" }, stroke);
  drawing.style.cssText = "width:1.6em;height:.8em;vertical-align:middle;margin:0 .3em 0 .9em";
  return drawing;
}

class Chart {
  constructor(holder, now, lines, axis) {
    Object.assign(this, { holder: document.getElementById(holder), now: document.getElementById(now), lines, axis });
    new ResizeObserver(() => this.plot?.setSize({ width: this.holder.clientWidth, height: this.holder.clientHeight })).observe(this.holder);
  }

  draw(data, renew) {
    this.data = data;
    if (this.plot && !renew) this.plot.setData(data);
    else {
      this.plot?.destroy();
      const { holder, lines, axis } = this;
      this.plot = new window.uPlot(options(holder, lines, axis, (at) => this.tell(at)), data, holder);
    }
    this.tell(null);
  }

  /** Values under the pointer, or the newest ones. */
  tell(at) {
    const [times_, ...values] = this.data;
    const i = at ?? times_.length - 1;
    const when = at === null || at === undefined ? "" : times(null, [times_[i]])[0];
    this.now.replaceChildren(when, ...this.lines.flatMap((line, n) => [sample(line), `${line.name} `, el("b", {}, this.axis.say(values[n]?.[i]))]));
  }
}

/** Both charts with their choice of device and range. */
export class Charts {
  constructor() {
    this.rate = new Chart("chart-rate", "rate-now", [{ name: "rate", colour: "--normal", fill: true }],
      { least: 0.5, values: (_p, ticks) => ticks.map(String), say: (v) => (v === null || v === undefined ? "–" : `${v.toFixed(v < 10 ? 1 : 0)} /s`) });
    this.latency = new Chart("chart-latency", "latency-now",
      [{ name: "p50", colour: "--accent" }, { name: "p95", colour: "--blast", dash: [6, 4] }],
      { least: 10, values: (_p, ticks) => ticks.map(String), say: duration });
    this.device = document.getElementById("chart-device");
    this.range = "10";
    this.buttons = RANGES.map(([minutes, words]) => el("button", { type: "button", "aria-pressed": String(minutes === "10"), onclick: () => this.choose(minutes) }, words));
    document.getElementById("chart-range").append(...this.buttons);
    this.device.addEventListener("change", () => this.fetch());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.series && this.draw(this.series, true));
  }

  choose(minutes) {
    this.range = minutes;
    this.buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(RANGES[i][0] === minutes)));
    this.fetch();
  }

  names(devices) {
    const chosen = this.device.value;
    const all = [el("option", { value: "" }, "all devices"), ...devices.map((name) => el("option", { value: name }, name))];
    this.device.replaceChildren(...all);
    this.device.value = devices.includes(chosen) ? chosen : "";
  }

  /** Fetch again when a whole bucket has passed since the series shown. */
  tick(now) {
    if (this.series && now >= this.series.start + (this.series.rate.length + 1) * this.series.width_s) this.fetch();
  }

  async fetch() {
    const query = new URLSearchParams({ minutes: this.range });
    const [site, device] = this.device.value.split("/");
    if (device) [["site", site], ["device", device]].forEach((pair) => query.set(...pair));
    try {
      const answer = await fetch(`/api/series?${query}`);
      if (answer.ok) this.draw(await answer.json());
    } catch { /* the next tick tries again */ }
  }

  draw(series, renew = false) {
    this.series = series;
    const at = series.rate.map((_, i) => series.start + (i + 0.5) * series.width_s);
    this.rate.draw([at, series.rate], renew);
    this.latency.draw([at, series.p50, series.p95], renew);
  }
}
