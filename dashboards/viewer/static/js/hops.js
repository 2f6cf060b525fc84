// Latency of every hop: a stacked bar, and the same in numbers.

import { duration, el } from "./words.js";

const HOPS = ["travel", "intake", "store", "wait", "decode", "segment", "network"];

/** The hops of a result in their order; what is not known by name stands at the end as `other`. */
function hopsOf(latency) {
  const known = HOPS.filter((hop) => latency[hop] !== undefined).map((hop) => [hop, latency[hop]]);
  const rest = Object.entries(latency).filter(([hop]) => hop !== "total" && !HOPS.includes(hop));
  const other = rest.reduce((sum, [, ms]) => sum + ms, 0);
  return rest.length ? [...known, ["other", other]] : known;
}

export function hopBlock(latency) {
  const hops = hopsOf(latency);
  const bar = el("div", { class: "hops", "aria-hidden": "true" });
  const list = el("ul", { class: "hop-list", "aria-label": "Latency of each hop" });
  for (const [hop, ms] of hops) {
    const part = el("span", { "data-hop": hop });
    part.style.flexGrow = String(Math.max(ms, 0.01));
    bar.append(part);
    list.append(el("li", {}, el("i", { "data-hop": hop, "aria-hidden": "true" }), hop, " ", el("b", {}, duration(ms))));
  }
  const head = el("p", { class: "block-head" }, "Latency", el("b", {}, duration(latency.total)));
  return el("div", { class: "block" }, head, ...(hops.length ? [bar, list] : []));
}
