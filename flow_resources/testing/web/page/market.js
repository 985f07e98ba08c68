// The market: one card per selected capacity pool, and the time range of the charts.

import { createCard } from "./card.js";
import { $, keyed, segments, show } from "./dom.js";
import { moment } from "./format.js";
import { toBidHistory } from "./bid_history.js";
import { createPicker } from "./picker.js";

const RANGES = [
  [1, "1 h"],
  [6, "6 h"],
  [24, "1 d"],
  [72, "3 d"],
];

/** Return {view, update(overview), follow(), highlight(fid)}; `refresh` is called when the selection changes. */
export function createMarket(refresh) {
  const view = readView();
  const cards = new Map();
  let last = null;
  const showRange = segments($("range"), RANGES, (hours) => change({ hours }));
  const picker = createPicker(toggle);
  $("follow").addEventListener("click", () => {
    follow();
    $("picker-button").focus();
  });

  function follow() {
    change({ places: null });
  }

  function change(wanted) {
    Object.assign(view, wanted);
    writeView(view);
    if (last !== null) update(last);
    refresh();
  }

  function toggle(place) {
    const before = view.places ?? last.charts.map(placeOf);
    change({ places: before.includes(place) ? before.filter((one) => one !== place) : [...before, place] });
  }

  function update(overview) {
    last = overview;
    const markets = overview.markets.map((market) => ({ ...market, place: placeOf(market) }));
    const states = statesOf(overview, markets, view);
    const shown = new Set(states.map(({ place }) => place));
    for (const place of cards.keys()) if (!shown.has(place)) cards.delete(place);
    keyed($("charts"), states, "place", ({ place, market }) => {
      const card = createCard(market, () => toggle(place));
      cards.set(place, card);
      return card;
    });
    picker.update(markets, shown);
    showRange(view.hours);
    show($("follow"), view.places !== null);
    show($("no-charts"), states.length === 0);
  }

  return { view, update, follow, highlight: (fid) => cards.forEach((card) => card.highlight(fid)) };
}

const placeOf = ({ instance_type: type, region }) => `${type}:${region}`;

/** Read the selection from the fragment of the URL, which keeps it across reloads and in links. */
function readView() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const hours = Number(asked.get("hours"));
  return {
    hours: RANGES.some(([known]) => known === hours) ? hours : 6,
    // null: the default of the server, the pools with live bids.
    places: asked.has("place") ? asked.getAll("place").filter(Boolean) : null,
  };
}

function writeView({ hours, places }) {
  // An empty selection, unlike the default one, is written as one empty name.
  const written = places?.length === 0 ? [""] : (places ?? []);
  const query = new URLSearchParams(written.map((place) => ["place", place]));
  query.set("hours", hours);
  history.replaceState(null, "", `#${query}`);
}

/** Return the state of each card in the order of selection, without pools that the server has not returned yet. */
function statesOf({ charts, clock, bids }, markets, { hours, places }) {
  const now = moment(clock.now);
  const chartAt = new Map(charts.map((chart) => [placeOf(chart), chart]));
  const marketAt = new Map(markets.map((market) => [market.place, market]));
  const wanted = (places ?? [...chartAt.keys()]).filter((place) => chartAt.has(place) && marketAt.has(place));
  return wanted.map((place) => {
    const [chart, market] = [chartAt.get(place), marketAt.get(place)];
    const points = chart.points.map(([at, price]) => [moment(at), price]).filter(([at]) => at <= now);
    const histories = bids.filter((bid) => chart.bids.includes(bid.fid)).map((bid) => toBidHistory(bid, now));
    histories.sort((a, b) => b.limit - a.limit);
    return { place, market, points: points.length ? points : [[now, market.price]], histories, now, hours };
  });
}
