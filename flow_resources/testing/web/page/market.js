// The market: which places are shown, over which time; one card for each.

import { createCard } from "./card.js";
import { $, keyed, segments, show } from "./dom.js";
import { moment } from "./format.js";
import { lifeOf } from "./bid_history.js";
import { createPicker } from "./picker.js";

const RANGES = [
  [1, "1 h"],
  [6, "6 h"],
  [24, "1 d"],
  [72, "3 d"],
];

/** Return {view, update(overview), follow(), highlight(fid)}; `refresh` is called when something else is to be shown. */
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

/** What is shown is kept in the address, behind the #: it survives a reload and can be passed on. */
function readView() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const hours = Number(asked.get("hours"));
  return {
    hours: RANGES.some(([known]) => known === hours) ? hours : 6,
    // null: whatever the fake thinks worth showing, which is where clusters live.
    places: asked.has("place") ? asked.getAll("place").filter(Boolean) : null,
  };
}

function writeView({ hours, places }) {
  // Nothing chosen is not the same as nothing shown: the latter is written as one empty place.
  const written = places?.length === 0 ? [""] : (places ?? []);
  const query = new URLSearchParams(written.map((place) => ["place", place]));
  query.set("hours", hours);
  history.replaceState(null, "", `#${query}`);
}

/** What each card shows, in the order that the places were chosen in; a place without an answer yet is left out. */
function statesOf({ charts, clock, bids }, markets, { hours, places }) {
  const now = moment(clock.now);
  const chartAt = new Map(charts.map((chart) => [placeOf(chart), chart]));
  const marketAt = new Map(markets.map((market) => [market.place, market]));
  const wanted = (places ?? [...chartAt.keys()]).filter((place) => chartAt.has(place) && marketAt.has(place));
  return wanted.map((place) => {
    const [chart, market] = [chartAt.get(place), marketAt.get(place)];
    const points = chart.points.map(([at, price]) => [moment(at), price]).filter(([at]) => at <= now);
    const lives = bids.filter((bid) => chart.bids.includes(bid.fid)).map((bid) => lifeOf(bid, now));
    lives.sort((a, b) => b.limit - a.limit);
    return { place, market, points: points.length ? points : [[now, market.price]], lives, now, hours };
  });
}
