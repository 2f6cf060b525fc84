// The ledger: captured = stored + rejected + dropped + in spool, and whether it closes.

import { bytes, count, el, shape } from "./words.js";

export function ledgerBlock(ledger) {
  const terms = [
    ["captured", ledger.captured, "="], ["stored", ledger.stored, "+"], ["rejected", ledger.rejected, "+"],
    ["dropped", ledger.dropped, "+"], ["in spool", ledger.spooled, null],
  ];
  const line = el("dl", { class: "ledger", "aria-label": "captured = stored + rejected + dropped + in spool" });
  for (const [name, number, sign] of terms) {
    line.append(el("div", {}, el("dt", {}, name), el("dd", {}, count(number))));
    if (sign) line.append(el("span", { class: "sign", "aria-hidden": "true" }, sign));
  }
  return el("div", { class: "block" }, el("p", { class: "block-head" }, "Ledger of frames", mark(ledger)), line);
}

function mark(ledger) {
  if (ledger.closes) return el("span", { class: "mark-line" }, shape("good"), "closes");
  const by = ledger.lost > 0 ? `${count(ledger.lost)} lost` : `${count(-ledger.lost)} too many`;
  return el("span", { class: "mark-line broken" }, shape("bad"), by);
}

export function gauges(telemetry) {
  const { spool, fps } = telemetry;
  const share = spool.limit_bytes ? (100 * spool.bytes) / spool.limit_bytes : 0;
  const gauge = (name, ...value) => el("span", {}, `${name} `, el("b", {}, ...value));
  const parts = [
    gauge("rate", `${fps.toFixed(fps < 10 ? 1 : 0)} fps`),
    gauge("spool", `${count(spool.frames)} ${spool.frames === 1 ? "frame" : "frames"}`),
    gauge("holding", `${bytes(spool.bytes)} (${share < 1 && share > 0 ? "<1" : count(share)} %)`),
  ];
  if (telemetry.resent) parts.push(gauge("resent", count(telemetry.resent)));
  return el("div", { class: "block gauges" }, ...parts);
}
