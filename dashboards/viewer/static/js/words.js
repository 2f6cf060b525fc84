// Words, numbers, times and shapes. Whatever comes from a device enters the page as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

const SHAPES = {
  blast: "M8 1.5 15.5 15h-15z",
  normal: "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1z",
  no_result: "M8 .5 15.5 8 8 15.5.5 8zM8 4 4 8l4 4 4-4z",
  good: "M6.3 13.5 1 8.2l2-2 3.3 3.2L13 2.5l2 2z",
  bad: "M3 1 8 6l5-5 2 2-5 5 5 5-2 2-5-5-5 5-2-2 5-5-5-5z",
  warn: "M8 .8 15.7 15H.3zM7 6v4.5h2V6zm0 5.7v1.8h2v-1.8z",
  wait: "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1zM7 4v4.6l3.3 2 .9-1.5L8.8 7.7V4z",
  off: "M2 6.5h12v3H2z",
};

export const DECISIONS = { blast: "Blast", normal: "Normal", no_result: "No result" };

/** An element with attributes and children; strings become text nodes. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A small shape that says with its form what colour says too. */
export function shape(name) {
  const path = svg("path", { d: SHAPES[name] ?? SHAPES.off, "fill-rule": "evenodd" });
  return svg("svg", { class: "shape", viewBox: "0 0 16 16", "aria-hidden": "true" }, path);
}

export function badge(decision) {
  const word = DECISIONS[decision] ?? String(decision);
  return el("span", { class: "badge", "data-decision": decision }, shape(decision), word);
}

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
export const count = (number) => whole.format(number);
export const probability = (p) => (p === null || p === undefined ? "–" : p.toFixed(2));

/** Milliseconds as a person reads them. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 10_000) return `${whole.format(ms)} ms`;
  return ms < 600_000 ? `${(ms / 1000).toFixed(1)} s` : `${whole.format(ms / 60_000)} min`;
}

export function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; number >= 1000 && unit < units.length - 1; unit += 1) number /= 1000;
  return `${number < 10 && unit ? number.toFixed(1) : whole.format(number)} ${units[unit]}`;
}

const pad = (number) => String(number).padStart(2, "0");

/** Local time of day of a Date, with the day where it is not today. */
export function clock(date, { seconds = true } = {}) {
  if (Number.isNaN(date.getTime())) return "–";
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}${seconds ? `:${pad(date.getSeconds())}` : ""}`;
  const today = date.toDateString() === new Date().toDateString();
  return today ? time : `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${time}`;
}
