// Totals, connections and notices.

import { DECISIONS, count, el, shape } from "./words.js";

export class Header {
  constructor() {
    this.totals = document.getElementById("totals");
    this.page = document.getElementById("link-page");
    this.broker = document.getElementById("link-broker");
    this.notices = document.getElementById("notices");
    this.note = document.getElementById("foot-note");
    this.link("wait", "page connecting", this.page);
  }

  link(kind, words, node = this.page) {
    if (node.dataset.words === words) return;
    node.dataset.words = words;
    node.className = kind;
    node.replaceChildren(shape(kind), words);
  }

  draw(pulse) {
    const { totals } = pulse;
    const one = (name, number, mark, form) => el("div", { class: mark }, el("dt", {}, form ? shape(form) : null, name), el("dd", {}, count(number)));
    this.totals.replaceChildren(
      one("frames", totals.frames), one("results", totals.results), one("blast", totals.blast, "is-blast", "blast"),
      one("normal", totals.normal, "is-normal", "normal"), one(DECISIONS.no_result.toLowerCase(), totals.no_result, "is-none", "no_result"),
      one("lost", pulse.lost, pulse.unbalanced ? "is-bad" : null, pulse.unbalanced ? "bad" : "good"),
    );
    this.link(pulse.connected ? "good" : "bad", pulse.connected ? "broker connected" : "broker not connected", this.broker);
    this.notices.hidden = !pulse.notices.length;
    this.notices.replaceChildren(...pulse.notices.map((alert) => el("li", {}, shape("warn"), el("span", {}, `${alert.origin}: ${alert.text || alert.name}`))));
    this.note.textContent = notes(pulse).join(" · ");
  }
}

function notes(pulse) {
  const said = [];
  if (pulse.rebuilding) said.push("reading earlier results from the store");
  if (pulse.unbalanced) said.push(`${count(pulse.unbalanced)} ledger${pulse.unbalanced === 1 ? " does" : "s do"} not close`);
  if (pulse.ignored) said.push(`${count(pulse.ignored)} unreadable messages ignored`);
  if (pulse.dropped) said.push(`${count(pulse.dropped)} messages skipped under load`);
  return said;
}
