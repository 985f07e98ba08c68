// What a bid was at each moment, read from its history: how high its limit stood, and whether it held machines.

import { moment, price } from "./format.js";

const TURNS = { Allocated: "holding", Preempted: "waiting", Paused: "paused", Resumed: "waiting" };
const MARKED = new Set(["Allocated", "Preempted", "Terminated"]);

/**
 * Return {fid, name, live, stretches: [{from, to, limit, state}], marks: [{key, at, limit, kind}]}, where `state` is
 * holding, waiting or paused. Machines under notice count as gone from the moment of the notice.
 */
export function lifeOf(bid, now) {
  const stretches = [];
  const marks = [];
  let from = moment(bid.created_at);
  let limit = price(bid.events.find((event) => event.limit_price)?.limit_price ?? bid.limit_price);
  let state = "waiting";
  const until = (to) => {
    if (to > from) stretches.push({ from, to, limit, state });
    from = Math.max(from, to);
  };
  for (const event of bid.events) {
    const at = moment(event.timestamp);
    until(at);
    if (event.limit_price) limit = price(event.limit_price);
    state = TURNS[event.event_type] ?? state;
    if (MARKED.has(event.event_type)) marks.push({ key: marks.length, at, limit, kind: event.event_type });
  }
  const live = bid.status !== "Terminated";
  if (live) stretches.push({ from, to: Math.max(from, now), limit, state });
  return { fid: bid.fid, name: bid.name, live, limit, stretches, marks };
}

/** Return the stretch that a life is in at a moment, or null. */
export function stretchAt(life, at) {
  return life.stretches.find((one) => one.from <= at && at <= one.to) ?? null;
}
