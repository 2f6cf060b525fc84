// One frame large, with all that is known of it.

import { hopBlock } from "./hops.js";
import { View } from "./picture.js";
import { DECISIONS, badge, clock, count, el, probability, shape } from "./words.js";

export class Detail {
  /** `neighbours()` gives the results to step through. */
  constructor(neighbours) {
    this.dialog = document.getElementById("detail");
    this.neighbours = neighbours;
    this.dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.step(-1);
      if (event.key === "ArrowRight") this.step(1);
    });
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  open(shown) {
    // The list as it is now: stepping through it must not race with what arrives.
    this.list = this.neighbours();
    this.at = this.list.findIndex((one) => one.picture === shown.picture && one.result.model === shown.result.model);
    if (this.at < 0) [this.list, this.at] = [[shown, ...this.list], 0];
    this.build();
    this.draw();
    if (!this.dialog.open) this.dialog.showModal();
  }

  step(by) {
    if (this.list[this.at + by]) {
      this.at += by;
      this.draw();
    }
  }

  build() {
    const button = (words, label, act) => el("button", { class: "plain", type: "button", "aria-label": label, onclick: act }, words);
    this.title = el("h2", { id: "detail-title" });
    this.before = button("←", "Newer result", () => this.step(-1));
    this.after = button("→", "Older result", () => this.step(1));
    this.view = new View({ tags: 200 });
    this.side = el("div", { class: "detail-side" });
    this.dialog.replaceChildren(
      el("div", { class: "detail-head" }, this.title, this.before, this.after, button("Close", "Close", () => this.dialog.close())),
      el("div", { class: "detail-body" }, this.view.element, this.side),
    );
  }

  draw() {
    const shown = this.list[this.at];
    const { result } = shown;
    this.title.textContent = `${result.site} / ${result.device} · ${clock(new Date(result.captured_at ?? result.at))}`;
    this.before.disabled = !this.list[this.at - 1];
    this.after.disabled = !this.list[this.at + 1];
    this.view.show(shown);
    const verdict = el("div", { class: "verdict" }, badge(result.decision), el("span", { class: "why" }, result.reason ?? ""));
    this.side.replaceChildren(verdict, el("p", { class: "facts-note" }, el("strong", {}, "Research use only. Not for diagnosis.")),
      ...cells(result.cells), hopBlock(result.latency_ms), facts(shown));
  }
}

function cells(list) {
  if (!list.length) return [];
  const head = el("tr", {}, ...["Decision", "Kind", "p(blast)"].map((word, i) => el("th", { scope: "col", class: i === 2 ? "number" : null }, word)));
  const rows = list.map((cell) => el("tr", {},
    el("td", { class: "says", "data-decision": cell.decision }, shape(cell.decision), DECISIONS[cell.decision] ?? cell.decision),
    el("td", {}, cell.kind ?? "–", cell.reason ? el("div", {}, cell.reason) : null),
    el("td", { class: "number" }, probability(cell.p_blast))));
  const table = el("table", { class: "cell-table" }, el("thead", {}, head), el("tbody", {}, ...rows));
  return [el("div", {}, el("h3", {}, list.length === 1 ? "1 cell" : `${list.length} cells`), table)];
}

function facts({ picture, result }) {
  const list = el("dl", { class: "pairs" });
  const pair = (name, value, mark) => value !== null && value !== undefined && value !== "" &&
    list.append(el("dt", {}, name), el("dd", { class: mark }, value));
  pair("Slide", result.slide);
  pair("Frame", result.seq === null ? null : count(result.seq));
  pair("Captured", result.captured_at);
  pair("Result at", result.at);
  pair("Model", result.model);
  pair("Supersedes", result.supersedes);
  pair("Modality", result.modality);
  for (const [name, value] of Object.entries(result.quality)) {
    pair(name.replaceAll("_", " "), typeof value === "number" ? String(Math.round(value * 1000) / 1000) : String(value ?? ""));
  }
  pair("Id", result.id, "id");
  list.append(el("dt", {}, "Picture"), el("dd", {}, el("a", { href: picture, target: "_blank", rel: "noopener" }, "open the JPEG")));
  return el("div", {}, el("h3", {}, "Frame and quality"), list);
}
