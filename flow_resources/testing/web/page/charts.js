// The chart of one capacity pool: its price over time, and the limits of its bids.

import { attribute, h, keyed, s, show, text } from "./dom.js";
import { time, usd } from "./format.js";
import { periodAt } from "./bid_history.js";
import { drawGrid, drawLabels, drawLane, drawBids, drawPolicies, layOut, stepPath, TOP } from "./plot.js";
import { priceAt } from "./scales.js";

const TIP_OFFSET = 14;
const TIP_LINES_MAX = 8;

/** Return {node, update({points, histories, now, hours}), showPolicies(policies), highlight(fid)}. */
export function createChart(label) {
  const grid = s("g", { class: "grid" });
  const lane = s("g", { class: "lane" });
  const area = s("path", { class: "area" });
  const line = s("path", { class: "price" });
  const policies = s("g", { class: "policy-lines" });
  const bids = s("g");
  const labels = s("g");
  const cross = s("g", { class: "cross", hidden: true }, s("line"), s("circle", { r: 3.5 }));
  const svg = s("svg", { role: "img", tabindex: 0 }, grid, lane, area, line, policies, bids, labels, cross);
  const tip = h("div", { class: "chart-tip", hidden: true });
  const node = h("div", { class: "chart" }, svg, tip);
  let shown = null;
  let policyRows = [];
  let frame = null;
  let at = null;

  function draw() {
    if (shown === null || node.clientWidth === 0) return;
    frame = layOut({ ...shown, policies: policyRows }, node.clientWidth, node.clientHeight);
    attribute(svg, "viewBox", `0 0 ${frame.width} ${frame.height}`);
    drawGrid(grid, frame);
    drawLane(lane, frame);
    const steps = stepPath(shown.points, frame);
    attribute(line, "d", steps);
    attribute(area, "d", `${steps} V${frame.bottom} H${frame.x(Math.max(shown.points[0][0], frame.from))} Z`);
    drawPolicies(policies, policyRows, frame);
    drawBids(bids, shown.histories, frame);
    drawLabels(labels, shown, frame);
    point();
  }

  function point() {
    show(cross, at !== null);
    show(tip, at !== null);
    if (at === null || frame === null) return;
    const moment = Math.min(Math.max(at, frame.from), frame.to);
    const price = priceAt(shown.points, moment);
    const x = frame.x(moment);
    const [rule, dot] = cross.children;
    for (const end of ["1", "2"]) attribute(rule, `x${end}`, x);
    attribute(rule, "y1", TOP);
    attribute(rule, "y2", frame.bottom);
    attribute(dot, "cx", x);
    attribute(dot, "cy", price === null ? -9 : frame.y(price));
    fillTip(tip, moment, price, shown.histories);
    const fits = x + TIP_OFFSET + tip.offsetWidth <= frame.width;
    const left = fits ? x + TIP_OFFSET : Math.max(0, x - TIP_OFFSET - tip.offsetWidth);
    tip.style.transform = `translate(${left}px, ${TOP}px)`;
  }

  const pointAt = (moment) => {
    at = moment;
    point();
  };
  svg.addEventListener(
    "pointermove",
    (event) => frame && pointAt(frame.moment(event.clientX - svg.getBoundingClientRect().left)),
  );
  svg.addEventListener("pointerleave", () => pointAt(null));
  svg.addEventListener("blur", () => pointAt(null));
  svg.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") pointAt(null);
    if (!way || !frame) return;
    event.preventDefault();
    pointAt(Math.min(Math.max((at ?? frame.to) + (way * (frame.to - frame.from)) / 60, frame.from), frame.to));
  });
  new ResizeObserver(draw).observe(node);

  return {
    node,
    update(state) {
      shown = state;
      attribute(svg, "aria-label", describe(label, state));
      draw();
    },
    showPolicies(rows) {
      policyRows = rows;
      draw();
    },
    highlight(fid) {
      const here = [...bids.children].some((group) => group.dataset.bid === fid);
      for (const group of bids.children) {
        group.classList.toggle("chosen", group.dataset.bid === fid);
        group.classList.toggle("other", here && group.dataset.bid !== fid);
      }
    },
  };
}

function describe(label, { points, histories }) {
  const prices = points.map(([, price]) => price);
  const bids = histories.map((history) => `${history.name} bids ${usd(history.limit)}`);
  const range = `from ${usd(Math.min(...prices))} to ${usd(Math.max(...prices))}, now ${usd(prices.at(-1))}`;
  return [`Price of ${label} ${range}`, ...bids].join("; ");
}

function fillTip(tip, at, price, histories) {
  const lines = [
    { key: "at", label: `${time(at)} UTC`, value: "" },
    { key: "price", label: "price", value: price === null ? "–" : usd(price) },
  ];
  for (const history of histories) {
    const period = periodAt(history, at);
    if (period) lines.push({ key: history.fid, label: `${period.state}: ${history.name}`, value: usd(period.limit) });
  }
  keyed(tip, lines.slice(0, TIP_LINES_MAX), "key", () => {
    const label = h("span");
    const value = h("b");
    return {
      node: h("p", {}, label, value),
      update(line) {
        text(label, line.label);
        text(value, line.value);
      },
    };
  });
}
