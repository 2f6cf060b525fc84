// A frame with its cells drawn over it. Picture and boxes change together, so that no box lies over a foreign frame.

import { DECISIONS, el, probability, shape, svg } from "./words.js";

const TAGS = 14;

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.target.viewOf?.seen(entry.isIntersecting);
}, { rootMargin: "200px" });

/** Shows results one after the other; while a picture loads, only the newest of those that come is kept. */
export class View {
  constructor({ open = null, tags = TAGS } = {}) {
    this.element = el(open ? "button" : "div", { class: "view", type: open ? "button" : null });
    this.note = el("span", { class: "wait" }, "waiting for a frame");
    this.element.append(this.note);
    if (open) this.element.addEventListener("click", () => this.shown && open(this.shown));
    this.tags = tags;
    this.shown = this.next = null;
    this.busy = this.visible = false;
    this.element.viewOf = this;
    watcher.observe(this.element);
  }

  show(shown) {
    this.next = shown;
    this.load();
  }

  seen(visible) {
    this.visible = visible;
    this.load();
  }

  async load() {
    if (this.busy || !this.next || !this.visible) return;
    this.busy = true;
    const shown = this.next;
    this.next = null;
    const image = new Image();
    image.alt = "";
    image.src = shown.picture;
    try {
      await image.decode();
      this.draw(shown, image);
    } catch {
      this.element.replaceChildren(el("span", { class: "wait" }, "this picture is not in the store"));
    }
    this.shown = shown;
    this.element.setAttribute("aria-label", spoken(shown.result));
    this.busy = false;
    this.load();
  }

  draw(shown, image) {
    const size = [image.naturalWidth || 4, image.naturalHeight || 3];
    const { cells } = shown.result;
    const frame = el("span", { class: "frame" }, image, boxes(cells, size), tags(cells, size, this.tags));
    frame.style.aspectRatio = `${size[0]} / ${size[1]}`;
    frame.style[size[0] / size[1] < 4 / 3 ? "height" : "width"] = "100%";
    this.element.replaceChildren(frame);
  }
}

function spoken(result) {
  const cells = result.cells.length === 1 ? "1 cell" : `${result.cells.length} cells`;
  return `Newest frame of ${result.device}: ${DECISIONS[result.decision]}, ${cells}. Show large.`;
}

function boxes(cells, [width, height]) {
  const drawing = svg("svg", { class: "cells", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  for (const cell of cells) {
    const [x, y, w, h] = cell.box;
    const at = { x, y, width: Math.max(w, 0), height: Math.max(h, 0), rx: Math.min(w * 0.06, h * 0.06, width * 0.01) };
    drawing.append(svg("rect", { ...at, class: "halo" }), svg("rect", { ...at, "data-decision": cell.decision }));
  }
  return drawing;
}

/** Kind and p(blast) at the cells that matter most: the likeliest blasts first. */
function tags(cells, size, limit) {
  const likely = [...cells].sort((a, b) => (b.p_blast ?? -1) - (a.p_blast ?? -1)).slice(0, limit);
  return el("span", { class: "tags", "aria-hidden": "true" }, ...likely.map((cell) => tag(cell, size)));
}

/** A tag hangs on its box at the same share of both widths, so that it never leaves the picture. */
function tag(cell, [width, height]) {
  const [x, y, w, h] = cell.box;
  const share = 100 * Math.min(Math.max(width > w ? x / (width - w) : 0.5, 0), 1);
  const above = y > height * 0.13;
  const below = !above && y + h < height * 0.9;
  const words = [cell.kind ?? "cell", cell.p_blast === null ? null : `p ${probability(cell.p_blast)}`];
  const node = el("span", { class: "tag", "data-decision": cell.decision }, shape(cell.decision), words.filter(Boolean).join(" · "));
  node.style.left = `${share}%`;
  node.style.top = `${(100 * Math.min(Math.max(below ? y + h : y, 0), height)) / height}%`;
  node.style.transform = `translate(${-share}%, ${above ? "calc(-100% - 3px)" : "3px"})`;
  return node;
}
