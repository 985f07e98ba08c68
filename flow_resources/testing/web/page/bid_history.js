// The limit and the state of a bid over time, from its events.

import { moment, price } from "./format.js";

const STATE_AFTER = { Allocated: "holding", Preempted: "waiting", Paused: "paused", Resumed: "waiting" };
const EVENTS_WITH_MARK = new Set(["Allocated", "Preempted", "Terminated"]);

/**
 * Return {fid, name, live, periods: [{from, to, limit, state}], marks: [{key, at, limit, kind}]}, where `state` is
 * holding, waiting or paused. A bid under notice is waiting.
 */
export function toBidHistory(bid, now) {
  const periods = [];
  const marks = [];
  let from = moment(bid.created_at);
  let limit = price(bid.events.find((event) => event.limit_price)?.limit_price ?? bid.limit_price);
  let state = "waiting";
  const until = (to) => {
    if (to > from) periods.push({ from, to, limit, state });
    from = Math.max(from, to);
  };
  for (const event of bid.events) {
    const at = moment(event.timestamp);
    until(at);
    if (event.limit_price) limit = price(event.limit_price);
    state = STATE_AFTER[event.event_type] ?? state;
    if (EVENTS_WITH_MARK.has(event.event_type)) marks.push({ key: marks.length, at, limit, kind: event.event_type });
  }
  const live = bid.status !== "Terminated";
  if (live) periods.push({ from, to: Math.max(from, now), limit, state });
  return { fid: bid.fid, name: bid.name, live, limit, periods, marks };
}

/** Return the period of a history that contains a time, or null. */
export function periodAt(history, at) {
  return history.periods.find((period) => period.from <= at && at <= period.to) ?? null;
}
