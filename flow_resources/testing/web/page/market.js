// The market: one card per place that is shown, with its chart and its hand-set price and capacity, and the picker.

import { createChart } from "./charts.js";
import { $, h, keyed, segments, show, text } from "./dom.js";
import { moment, number, usd } from "./format.js";
import { lifeOf } from "./lives.js";
import { act } from "./wire.js";

const RANGES = [[1, "1 h"], [6, "6 h"], [24, "1 d"], [72, "3 d"]];
const placeOf = ({ instance_type: type, region }) => `${type}:${region}`;
const nameOf = ({ type, region }) => `${type} in ${region}`;

/** What is shown is kept in the address, behind the #: it survives a reload and can be passed on. */
export function readView() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const hours = Number(asked.get("hours"));
  return {
    hours: RANGES.some(([known]) => known === hours) ? hours : 6,
    // null: whatever the fake thinks worth showing, which is where clusters live.
    places: asked.has("place") ? asked.getAll("place").filter(Boolean) : null,
  };
}

function writeView({ hours, places }) {
  const query = new URLSearchParams((places?.length ? places : places && [""])?.map((place) => ["place", place]));
  query.set("hours", hours);
  history.replaceState(null, "", `#${query}`);
}

/** Return {view, update(overview), highlight(fid)}; `refresh` is called when other places are to be shown. */
export function createMarket(refresh) {
  const view = readView();
  const cards = new Map();
  let last = null;
  const showRange = segments($("range"), RANGES, (hours) => change({ hours }));
  const picker = createPicker((place) => toggle(place));
  $("follow").addEventListener("click", () => {
    change({ places: null });
    $("picker-button").focus();
  });

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
    showRange(view.hours);
    show($("follow"), view.places !== null);
    const markets = new Map(overview.markets.map((market) => [placeOf(market), market]));
    const charts = shownCharts(overview, view).filter((chart) => markets.has(placeOf(chart)));
    const kept = new Set(charts.map(placeOf));
    for (const place of cards.keys()) if (!kept.has(place)) cards.delete(place);
    const states = charts.map((chart) => stateOf(chart, markets.get(placeOf(chart)), overview, view));
    keyed($("charts"), states, ({ market }) => placeOf(market), ({ market }) => {
      const card = createCard(market, () => toggle(placeOf(market)));
      cards.set(placeOf(market), card);
      return card;
    });
    show($("no-charts"), charts.length === 0);
    picker.update(overview.markets, kept);
  }

  return { view, update, highlight: (fid) => cards.forEach((card) => card.highlight(fid)) };
}

function shownCharts({ charts }, { places }) {
  if (places === null) return charts;
  const known = new Map(charts.map((chart) => [placeOf(chart), chart]));
  return places.filter((place) => known.has(place)).map((place) => known.get(place));
}

function stateOf(chart, market, { clock, bids }, { hours }) {
  const now = moment(clock.now);
  const points = chart.points.map(([at, price]) => [moment(at), price]).filter(([at]) => at <= now);
  const drawn = bids.filter((bid) => chart.bids.includes(bid.fid));
  const lives = drawn.map((bid) => lifeOf(bid, now)).sort((a, b) => b.limit - a.limit);
  return { market, points: points.length ? points : [[now, market.price]], lives, now, hours };
}

function createCard(market, remove) {
  const chart = createChart(nameOf(market));
  const now = h("p", { class: "big" });
  const byHand = h("span", { class: "tag" }, "set by hand");
  const taken = h("p", { class: "dim" });
  const complaint = h("p", { class: "refusal", role: "alert" });
  const place = { instance_type: market.instance_type, region: market.region };
  const price = setter(`Price of ${nameOf(market)}`, "Price", "Set price", (typed) => ["set-price", { ...place, price: number(typed) }], complaint);
  const machines = setter(`Machines of ${nameOf(market)}`, "Machines", "Set machines", (typed) => ["set-capacity", { ...place, machines: number(typed) }], complaint);
  const back = h("button", { type: "button", class: "plain", "aria-label": `Give the price of ${nameOf(market)} back to the market` }, "Give back");
  back.addEventListener("click", async () => {
    if (await act("set-price", { ...place, price: null }, { control: back, complaint })) price.input.focus();
  });
  const close = h("button", { type: "button", class: "plain icon", "aria-label": `Do not show ${nameOf(market)}`, onclick: remove }, "×");
  const title = h("h3", {}, market.type, " ", h("span", { class: "dim" }, market.region));
  const head = h("div", { class: "card-head" }, h("div", {}, title, taken), h("span", { class: "gap" }), byHand, now, close);
  const node = h("article", { class: "card", "aria-label": nameOf(market) }, head, chart.node,
    h("div", { class: "controls" }, price.node, back, machines.node), complaint);
  return {
    node,
    highlight: chart.highlight,
    update({ market: newest, ...state }) {
      chart.update(state);
      text(now, usd(newest.price));
      text(taken, `${newest.full_name} · ${newest.used} of ${newest.capacity} taken`);
      show(byHand, newest.by_hand);
      show(back, newest.by_hand);
      price.input.placeholder = newest.price.toFixed(2);
      machines.input.placeholder = String(newest.capacity);
    },
  };
}

function setter(label, short, verb, request, complaint) {
  const input = h("input", { "aria-label": label, inputmode: "decimal", autocomplete: "off", required: true });
  const button = h("button", { type: "submit", "aria-label": `${verb}: ${label}` }, "Set");
  const node = h("form", { class: "setter", novalidate: true }, h("span", { class: "dim", "aria-hidden": "true" }, short), input, button);
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    const typed = input.value.trim().replace(/^\$/, "");
    if (typed === "") return input.focus();
    const done = await act(...request(typed), { control: button, complaint });
    if (done && input.value.trim().replace(/^\$/, "") === typed) input.value = "";
  });
  return { node, input };
}

function createPicker(pick) {
  const [root, button, panel, search, list] = ["picker", "picker-button", "picker-panel", "picker-search", "picker-list"].map($);
  let markets = [];
  let shown = new Set();

  function open(wanted) {
    show(panel, wanted);
    button.setAttribute("aria-expanded", String(wanted));
    if (!wanted) return;
    draw();
    search.focus();
  }

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = markets.filter((one) => words.every((word) => `${one.type} ${one.full_name} ${one.region}`.toLowerCase().includes(word)));
    show($("picker-none"), found.length === 0);
    keyed(list, found, placeOf, (market) => {
      const box = h("input", { type: "checkbox", onchange: () => pick(placeOf(market)) });
      const price = h("span", { class: "number" });
      const used = h("span", { class: "number dim" });
      const name = h("span", {}, market.type, " ", h("span", { class: "dim" }, market.region));
      return {
        node: h("li", {}, h("label", { title: market.full_name }, box, name, used, price)),
        update(newest) {
          box.checked = shown.has(placeOf(newest));
          text(price, usd(newest.price));
          text(used, `${newest.free} free`);
        },
      };
    });
  }

  button.addEventListener("click", () => open(panel.hidden));
  search.addEventListener("input", draw);
  document.addEventListener("pointerdown", (event) => root.contains(event.target) || open(false));
  root.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !root.contains(event.relatedTarget)) open(false);
  });
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !panel.hidden) {
      open(false);
      button.focus();
    }
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!way || panel.hidden) return;
    event.preventDefault();
    const stops = [search, ...list.querySelectorAll("input")];
    stops[Math.min(Math.max(stops.indexOf(document.activeElement) + way, 0), stops.length - 1)].focus();
  });
  return {
    update(newest, places) {
      markets = newest;
      shown = places;
      if (!panel.hidden) draw();
    },
  };
}
