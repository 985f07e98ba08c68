// One market drawn over time: the price as steps, and every bid's limit over the time that it lived.

import { attribute, h, keyed, s, show, text } from "./dom.js";
import { minute, shortDay, time, usd } from "./format.js";
import { stretchAt } from "./lives.js";
import { priceAt, priceRange, roundMoments, roundNumbers, spread } from "./scales.js";

const LEFT = 44;
const RIGHT = 124;
const TOP = 10;
const BOTTOM = 22;
const LANE = 22;
const LINE = 14;
const NAME_LENGTH = 11;
const STATES = ["holding", "waiting", "paused"];
const SHAPES = {
  Allocated: "M0 -4.5 L4.5 3.5 L-4.5 3.5 Z",
  Preempted: "M0 4.5 L4.5 -3.5 L-4.5 -3.5 Z",
  Terminated: "M-3.5 -3.5 L3.5 3.5 M3.5 -3.5 L-3.5 3.5",
};

/** Return {node, update({points, lives, now, hours}), highlight(fid)}. */
export function createChart(label) {
  const grid = s("g", { class: "grid" });
  const lane = s("g", { class: "lane" });
  const area = s("path", { class: "area" });
  const line = s("path", { class: "price" });
  const bids = s("g");
  const labels = s("g");
  const cross = s("g", { class: "cross", hidden: true }, s("line"), s("circle", { r: 3.5 }));
  const svg = s("svg", { role: "img", tabindex: 0 }, grid, lane, area, line, bids, labels, cross);
  const tip = h("div", { class: "chart-tip", hidden: true });
  const node = h("div", { class: "chart" }, svg, tip);
  let shown = null;
  let frame = null;
  let at = null;

  function draw() {
    if (shown === null || node.clientWidth === 0) return;
    frame = layOut(shown, node.clientWidth, node.clientHeight);
    attribute(svg, "viewBox", `0 0 ${frame.width} ${frame.height}`);
    drawGrid(grid, frame);
    drawLane(lane, frame);
    const steps = stepPath(shown.points, frame);
    attribute(line, "d", steps);
    attribute(area, "d", `${steps} V${frame.bottom} H${frame.x(Math.max(shown.points[0][0], frame.from))} Z`);
    keyed(bids, shown.lives, (life) => life.fid, (life) => drawLife(life.fid, () => frame));
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
    fillTip(tip, moment, price, shown.lives);
    const after = x + 14 + tip.offsetWidth <= frame.width;
    const left = after ? x + 14 : Math.max(0, x - 14 - tip.offsetWidth);
    tip.style.transform = `translate(${left}px, ${TOP}px)`;
  }

  const pointAt = (moment) => {
    at = moment;
    point();
  };
  svg.addEventListener("pointermove", (event) => frame && pointAt(frame.moment(event.clientX - svg.getBoundingClientRect().left)));
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
    highlight(fid) {
      const here = [...bids.children].some((group) => group.dataset.bid === fid);
      for (const group of bids.children) {
        group.classList.toggle("chosen", group.dataset.bid === fid);
        group.classList.toggle("other", here && group.dataset.bid !== fid);
      }
    },
  };
}

function describe(label, { points, lives }) {
  const prices = points.map(([, price]) => price);
  const bids = lives.map((life) => `${life.name} bids ${usd(life.limit)}`);
  const range = `from ${usd(Math.min(...prices))} to ${usd(Math.max(...prices))}, now ${usd(prices.at(-1))}`;
  return [`Price of ${label} ${range}`, ...bids].join("; ");
}

function layOut({ points, lives, now, hours }, width, height) {
  const from = now - hours * 3_600_000;
  const drawn = lives.flatMap((life) => [...life.stretches, ...life.marks.map((mark) => ({ ...mark, to: mark.at }))]);
  const seen = drawn.filter((one) => one.to >= from).map((one) => one.limit);
  const { low, high, beyond } = priceRange(points.map(([, price]) => price), seen);
  const top = TOP + (beyond.length ? LANE : 0);
  const bottom = height - BOTTOM;
  const right = width - RIGHT;
  const inside = (price) => top + ((high - price) / (high - low)) * (bottom - top);
  const inLane = (price) => TOP + 2 + 4 * Math.min(beyond.indexOf(price), 2);
  return {
    width, height, from, to: now, top, bottom, right, low, high, beyond,
    x: (at) => Math.round((LEFT + ((at - from) / (now - from)) * (right - LEFT)) * 10) / 10,
    y: (price) => Math.round((beyond.includes(price) ? inLane(price) : inside(price)) * 10) / 10,
    moment: (x) => from + ((x - LEFT) / (right - LEFT)) * (now - from),
  };
}

function drawGrid(group, frame) {
  const lines = roundNumbers(frame.low, frame.high, 3).map((price) => ({
    key: `p${price}`, x: LEFT - 8, y: frame.y(price) + 4, label: `$${price}`, anchor: "end",
    d: `M${LEFT} ${frame.y(price)} H${frame.right}`,
  }));
  const moments = roundMoments(frame.from, frame.to, Math.max(2, Math.floor((frame.right - LEFT) / 72)));
  const ticks = moments.map((at) => ({
    key: `t${at}`, x: frame.x(at), y: frame.bottom + 16, anchor: "middle",
    label: at % 86_400_000 === 0 ? shortDay(at) : minute(at), d: `M${frame.x(at)} ${frame.bottom} v4`,
  }));
  keyed(group, [...lines, ...ticks], (tick) => tick.key, () => {
    const path = s("path");
    const label = s("text");
    return {
      node: s("g", {}, path, label),
      update(tick) {
        attribute(path, "d", tick.d);
        for (const [name, value] of [["x", tick.x], ["y", tick.y], ["text-anchor", tick.anchor]]) attribute(label, name, value);
        text(label, tick.label);
      },
    };
  });
}

/** The lane for limits beyond the scale, told apart by a torn edge. */
function drawLane(group, frame) {
  keyed(group, frame.beyond.length ? [frame] : [], () => "lane", () => {
    const tear = s("path");
    const label = s("text", { x: LEFT - 8, y: TOP + 9, "text-anchor": "end" }, "higher");
    return {
      node: s("g", {}, tear, label),
      update({ right }) {
        let d = `M${LEFT} ${TOP + LANE - 7}`;
        for (let x = LEFT; x < right - 6; x += 6) d += ` l3 ${(x / 6) % 2 < 1 ? 3 : -3} l3 ${(x / 6) % 2 < 1 ? -3 : 3}`;
        attribute(tear, "d", d);
      },
    };
  });
}

function stepPath(points, frame) {
  const held = priceAt(points, frame.from);
  const inside = points.filter(([at]) => at > frame.from && at <= frame.to);
  const [start, first] = held === null ? [inside[0][0], inside[0][1]] : [frame.from, held];
  const steps = inside.map(([at, price]) => `H${frame.x(at)} V${frame.y(price)}`);
  return `M${frame.x(start)} ${frame.y(first)} ${steps.join(" ")} H${frame.right}`;
}

function drawLife(fid, frameNow) {
  const paths = Object.fromEntries(STATES.map((state) => [state, s("path", { class: state })]));
  const marks = s("g");
  return {
    node: s("g", { class: "bid", "data-bid": fid }, ...Object.values(paths), marks),
    update(life) {
      const frame = frameNow();
      attribute(this.node, "data-live", life.live);
      for (const state of STATES) attribute(paths[state], "d", limitPath(life, state, frame));
      const seen = life.marks.filter((mark) => mark.at >= frame.from && mark.at <= frame.to);
      keyed(marks, seen, (mark) => `${mark.kind} ${mark.at}`, ({ kind, at }) => {
        const node = s("path", { class: kind, d: SHAPES[kind], "data-tip": `${life.name}: ${kind} ${time(at)}` });
        const place = (mark) => `translate(${frameNow().x(mark.at)} ${frameNow().y(mark.limit)})`;
        return { node, update: (mark) => attribute(node, "transform", place(mark)) };
      });
    },
  };
}

function limitPath(life, state, frame) {
  let d = "";
  life.stretches.forEach((one, index) => {
    if (one.state !== state || one.to < frame.from) return;
    const before = life.stretches[index - 1];
    const x = frame.x(Math.max(one.from, frame.from));
    // A change of the limit is drawn as the step that it was.
    const start = before && before.limit !== one.limit && one.from > frame.from ? `${frame.y(before.limit)} V` : "";
    d += `M${x} ${start}${frame.y(one.limit)} H${frame.x(Math.min(one.to, frame.to))} `;
  });
  return d || null;
}

function drawLabels(group, { points, lives, now }, frame) {
  const room = Math.floor((frame.bottom - TOP) / LINE);
  const live = lives.filter((life) => life.live && stretchAt(life, now));
  const named = live.slice(0, live.length > room - 1 ? room - 2 : room - 1);
  const price = points.at(-1)[1];
  const wanted = [{ key: "price", y: frame.y(price), name: usd(price), value: "price", kind: "now" }];
  for (const life of named) wanted.push({ key: life.fid, y: frame.y(life.limit), name: usd(life.limit), value: life.name, kind: "limit" });
  if (named.length < live.length) wanted.push({ key: "more", y: frame.bottom, name: `+${live.length - named.length}`, value: "more", kind: "limit" });
  keyed(group, spread(wanted, LINE, TOP + 4, frame.bottom - 2), (label) => label.key, (made) => {
    const value = s("tspan", { class: made.kind });
    const name = s("tspan", { dx: 6, class: "whose" });
    const node = s("text", {}, value, name);
    return {
      node,
      update(label) {
        attribute(node, "x", frame.right + 8);
        attribute(node, "y", label.y + 4);
        text(value, label.name);
        text(name, label.value.length > NAME_LENGTH ? `${label.value.slice(0, NAME_LENGTH - 1)}…` : label.value);
      },
    };
  });
}

function fillTip(tip, at, price, lives) {
  const lines = [{ key: "at", label: `${time(at)} UTC`, value: "" }, { key: "price", label: "price", value: price === null ? "–" : usd(price) }];
  for (const life of lives) {
    const stretch = stretchAt(life, at);
    if (stretch) lines.push({ key: life.fid, label: `${life.name}, ${stretch.state}`, value: usd(stretch.limit) });
  }
  keyed(tip, lines.slice(0, 8), (line) => line.key, () => {
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
