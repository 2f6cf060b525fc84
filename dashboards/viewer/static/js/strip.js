// Recent results as thumbnails, the newest first.

import { DECISIONS, clock, el, shape } from "./words.js";

const LENGTH = 24;
const CHOICES = [["", "All"], ...Object.entries(DECISIONS)];
const keyOf = ({ result }) => [result.site, result.device, result.id, result.model].join(" ");

export class Strip {
  constructor(open) {
    this.open = open;
    this.list = document.getElementById("strip");
    this.items = [];
    this.decision = "";
    this.waiting = [];
    this.buttons = CHOICES.map(([decision, words]) => el("button", { type: "button", "aria-pressed": String(!decision), onclick: () => this.choose(decision) }, words));
    document.getElementById("recent-choice").append(...this.buttons);
    this.draw();
  }

  async choose(decision) {
    this.decision = decision;
    this.buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(CHOICES[i][0] === decision)));
    const query = new URLSearchParams({ limit: LENGTH, ...(decision && { decision }) });
    try {
      const answer = await fetch(`/api/results?${query}`);
      if (answer.ok && this.decision === decision) this.set((await answer.json()).results);
    } catch { /* what is shown stays */ }
  }

  set(results) {
    this.items = results;
    this.waiting = [];
    this.draw();
  }

  add(shown) {
    if (!this.decision || shown.result.decision === this.decision) this.waiting.push(shown);
  }

  /** Take in what has come; called once a second, so that the strip stays readable. */
  flush() {
    if (!this.waiting.length) return;
    const all = new Map([...this.items].reverse().concat(this.waiting).map((shown) => [keyOf(shown), shown]));
    this.waiting = [];
    this.items = [...all.values()].sort((a, b) => Date.parse(b.result.at) - Date.parse(a.result.at)).slice(0, LENGTH);
    this.draw();
  }

  draw() {
    const known = new Map([...this.list.children].map((node) => [node.dataset.key, node]));
    const nodes = this.items.map((shown) => known.get(keyOf(shown)) ?? this.thumb(shown));
    const nothing = el("li", { class: "nothing" }, this.decision ? "none of these yet" : "no results yet");
    const kept = new Set(nodes);
    for (const node of [...this.list.children]) if (!kept.has(node)) node.remove();
    if (!nodes.length) this.list.append(nothing);
    // Nodes that stay are not moved: they keep the focus.
    nodes.forEach((node, i) => this.list.children[i] !== node && this.list.insertBefore(node, this.list.children[i] ?? null));
  }

  thumb(shown) {
    const { result } = shown;
    const says = DECISIONS[result.decision] ?? result.decision;
    const image = el("img", { src: shown.picture, alt: "", loading: "lazy", decoding: "async" });
    const at = clock(new Date(result.captured_at ?? result.at));
    const button = el("button", { class: "thumb", type: "button", "data-decision": result.decision, onclick: () => this.open(shown) },
      image, el("span", { class: "says", "data-decision": result.decision }, shape(result.decision), says),
      el("span", { class: "whose" }, `${result.device} · ${at}`));
    return el("li", { "data-key": keyOf(shown) }, button);
  }
}
