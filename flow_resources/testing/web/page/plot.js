// The elements of a chart: grid, price, limits of bids, and labels at the right edge.

import { attribute, keyed, s, text } from "./dom.js";
import { minute, shortDay, time, usd } from "./format.js";
import { periodAt } from "./bid_history.js";
import { priceAt, priceRange, roundMoments, roundNumbers, spread } from "./scales.js";

export const TOP = 10;
const LEFT = 44;
const RIGHT = 124;
const BOTTOM = 22;
const LANE = 22;
const LINE = 14;
const TICK = 72;
const TOOTH = 3;
const NAME_LENGTH = 11;
const STATES = ["holding", "waiting", "paused"];
const SHAPES = {
  Allocated: "M0 -4.5 L4.5 3.5 L-4.5 3.5 Z",
  Preempted: "M0 4.5 L4.5 -3.5 L-4.5 -3.5 Z",
  Terminated: "M-3.5 -3.5 L3.5 3.5 M3.5 -3.5 L-3.5 3.5",
};

/** Return the layout: the edges, and functions that convert times and prices to pixels, and pixels to times. */
export function layOut({ points, histories, policies, now, hours }, width, height) {
  const from = now - hours * 3_600_000;
  const marksOf = (history) => history.marks.map((mark) => ({ ...mark, to: mark.at }));
  const drawn = histories.flatMap((history) => [...history.periods, ...marksOf(history)]);
  const seen = drawn.filter((item) => item.to >= from).map((item) => item.limit);
  seen.push(...policies.map((policy) => policy.price));
  const prices = points.map(([, price]) => price);
  const { low, high, beyond } = priceRange(prices, seen);
  const top = TOP + (beyond.length ? LANE : 0);
  const bottom = height - BOTTOM;
  const right = width - RIGHT;
  const inside = (price) => top + ((high - price) / (high - low)) * (bottom - top);
  const inLane = (price) => TOP + 2 + 4 * Math.min(beyond.indexOf(price), 2);
  return {
    width,
    height,
    from,
    to: now,
    top,
    bottom,
    right,
    low,
    high,
    beyond,
    x: (at) => Math.round((LEFT + ((at - from) / (now - from)) * (right - LEFT)) * 10) / 10,
    y: (price) => Math.round((beyond.includes(price) ? inLane(price) : inside(price)) * 10) / 10,
    moment: (x) => from + ((x - LEFT) / (right - LEFT)) * (now - from),
  };
}

export function drawGrid(group, frame) {
  const lines = roundNumbers(frame.low, frame.high, 3).map((price) => {
    const y = frame.y(price);
    return {
      key: `p${price}`,
      d: `M${LEFT} ${y} H${frame.right}`,
      x: LEFT - 8,
      y: y + 4,
      label: `$${price}`,
      side: "end",
    };
  });
  const most = Math.max(2, Math.floor((frame.right - LEFT) / TICK));
  const ticks = roundMoments(frame.from, frame.to, most).map((at) => {
    const x = frame.x(at);
    const label = at % 86_400_000 === 0 ? shortDay(at) : minute(at);
    return { key: `t${at}`, d: `M${x} ${frame.bottom} v4`, x, y: frame.bottom + 16, label, side: "middle" };
  });
  keyed(group, [...lines, ...ticks], "key", ({ side }) => {
    const path = s("path");
    const label = s("text", { "text-anchor": side });
    return {
      node: s("g", {}, path, label),
      update(tick) {
        attribute(path, "d", tick.d);
        attribute(label, "x", tick.x);
        attribute(label, "y", tick.y);
        text(label, tick.label);
      },
    };
  });
}

/** Draw the area for limits above the scale, separated by a jagged line. */
export function drawLane(group, { beyond, right }) {
  const teeth = Math.floor((right - LEFT) / TOOTH / 2);
  const tear = Array.from({ length: teeth }, (_, n) =>
    n % 2 ? `l${TOOTH} -3 l${TOOTH} 3` : `l${TOOTH} 3 l${TOOTH} -3`,
  );
  const lanes = beyond.length ? [{ key: "lane", d: `M${LEFT} ${TOP + LANE - 7} ${tear.join(" ")}` }] : [];
  keyed(group, lanes, "key", () => {
    const edge = s("path");
    const label = s("text", { x: LEFT - 8, y: TOP + 9, "text-anchor": "end" }, "higher");
    return { node: s("g", {}, edge, label), update: ({ d }) => attribute(edge, "d", d) };
  });
}

export function stepPath(points, frame) {
  const held = priceAt(points, frame.from);
  const inside = points.filter(([at]) => at > frame.from && at <= frame.to);
  const [start, first] = held === null ? [inside[0][0], inside[0][1]] : [frame.from, held];
  const steps = inside.map(([at, price]) => `H${frame.x(at)} V${frame.y(price)}`);
  return `M${frame.x(start)} ${frame.y(first)} ${steps.join(" ")} H${frame.right}`;
}

/** Draw the limits of all bids. Items include the frame, because it changes with every update. */
export function drawBids(group, histories, frame) {
  const items = histories.map((history) => ({ fid: history.fid, history, frame }));
  keyed(group, items, "fid", ({ fid }) => {
    const paths = STATES.map((state) => s("path", { class: state }));
    const marks = s("g");
    const node = s("g", { class: "bid", "data-bid": fid }, ...paths, marks);
    return {
      node,
      update({ history, frame }) {
        attribute(node, "data-live", history.live);
        STATES.forEach((state, index) => attribute(paths[index], "d", limitPath(history, state, frame)));
        drawMarks(marks, history, frame);
      },
    };
  });
}

/** Draw what each policy would bid now as a line. */
export function drawPolicies(group, policies, frame) {
  const items = policies.map((policy) => ({ ...policy, d: `M${LEFT} ${frame.y(policy.price)} H${frame.right}` }));
  keyed(group, items, "policy", () => {
    const node = s("path");
    return {
      node,
      update({ policy, price, d }) {
        attribute(node, "d", d);
        attribute(node, "data-tip", `${policy}: ${usd(price)}`);
      },
    };
  });
}

function drawMarks(group, history, frame) {
  const seen = history.marks.filter((mark) => mark.at >= frame.from && mark.at <= frame.to);
  const items = seen.map((mark) => ({ ...mark, place: `translate(${frame.x(mark.at)} ${frame.y(mark.limit)})` }));
  keyed(group, items, "key", ({ kind, at }) => {
    const node = s("path", { class: kind, d: SHAPES[kind], "data-tip": `${history.name}: ${kind} ${time(at)}` });
    return { node, update: ({ place }) => attribute(node, "transform", place) };
  });
}

function limitPath(history, state, frame) {
  let d = "";
  history.periods.forEach((period, index) => {
    if (period.state !== state || period.to < frame.from) return;
    const before = history.periods[index - 1];
    const x = frame.x(Math.max(period.from, frame.from));
    // A change of the limit is drawn as a vertical line.
    const changes = before && before.limit !== period.limit && period.from > frame.from;
    const start = changes ? `${frame.y(before.limit)} V` : "";
    d += `M${x} ${start}${frame.y(period.limit)} H${frame.x(Math.min(period.to, frame.to))} `;
  });
  return d || null;
}

/** Draw the labels of the price and of the limits at the right edge, as many as fit. */
export function drawLabels(group, { points, histories, now }, frame) {
  const room = Math.floor((frame.bottom - TOP) / LINE) - 1;
  const live = histories.filter((history) => history.live && periodAt(history, now));
  const named = live.slice(0, live.length > room ? room - 1 : room);
  const price = points.at(-1)[1];
  const labels = [{ key: "price", kind: "now", y: frame.y(price), value: usd(price), name: "price" }];
  for (const { fid, limit, name } of named) {
    labels.push({ key: fid, kind: "limit", y: frame.y(limit), value: usd(limit), name: shortened(name) });
  }
  const left = live.length - named.length;
  if (left) labels.push({ key: "more", kind: "limit", y: frame.bottom, value: `+${left}`, name: "more" });
  const items = spread(labels, LINE, TOP + 4, frame.bottom - 2).map((label) => ({ ...label, x: frame.right + 8 }));
  keyed(group, items, "key", ({ kind }) => {
    const value = s("tspan", { class: kind });
    const name = s("tspan", { dx: 6 });
    const node = s("text", {}, value, name);
    return {
      node,
      update(label) {
        attribute(node, "x", label.x);
        attribute(node, "y", label.y + 4);
        text(value, label.value);
        text(name, label.name);
      },
    };
  });
}

function shortened(name) {
  return name.length > NAME_LENGTH ? `${name.slice(0, NAME_LENGTH - 1)}…` : name;
}
