// The searchable list of all capacity pools, to select those that are shown.

import { $, h, keyed, show, text } from "./dom.js";
import { usd } from "./format.js";

const WAYS = { ArrowDown: 1, ArrowUp: -1 };

/** Return {update(markets, shown)}; `pick` is called with the pool to show or to hide. */
export function createPicker(pick) {
  const [root, button, panel] = [$("picker"), $("picker-button"), $("picker-panel")];
  const [search, list] = [$("picker-search"), $("picker-list")];
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
    const words = search.value.toLowerCase().split(/\s+/);
    const fits = (market) => words.every((word) => describe(market).includes(word));
    const found = markets.filter(fits).map((market) => ({ ...market, checked: shown.has(market.place) }));
    keyed(list, found, "place", (market) => createRow(market, pick));
    show($("picker-none"), found.length === 0);
  }

  button.addEventListener("click", () => open(panel.hidden));
  search.addEventListener("input", draw);
  document.addEventListener("pointerdown", (event) => root.contains(event.target) || open(false));
  root.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !root.contains(event.relatedTarget)) open(false);
  });
  root.addEventListener("keydown", (event) => {
    if (panel.hidden) return;
    if (event.key === "Escape") {
      open(false);
      button.focus();
    } else if (event.key in WAYS) {
      event.preventDefault();
      const stops = [search, ...list.querySelectorAll("input")];
      const next = stops.indexOf(document.activeElement) + WAYS[event.key];
      stops[Math.min(Math.max(next, 0), stops.length - 1)].focus();
    }
  });

  return {
    update(newest, places) {
      markets = newest;
      shown = places;
      if (!panel.hidden) draw();
    },
  };
}

const describe = ({ type, full_name: name, region }) => `${type} ${name} ${region}`.toLowerCase();

function createRow({ place, type, full_name: name, region }, pick) {
  const box = h("input", { type: "checkbox", onchange: () => pick(place) });
  const free = h("span", { class: "number dim" });
  const price = h("span", { class: "number" });
  const title = h("span", {}, type, " ", h("span", { class: "dim" }, region));
  return {
    node: h("li", {}, h("label", { title: name }, box, title, free, price)),
    update(market) {
      box.checked = market.checked;
      text(free, `${market.free} free`);
      text(price, usd(market.price));
    },
  };
}
