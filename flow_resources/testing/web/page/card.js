// The card of one capacity pool: its chart, and forms that set its price and capacity.

import { createChart } from "./charts.js";
import { h, show, text } from "./dom.js";
import { number, usd } from "./format.js";
import { act } from "./api.js";
import { createPolicies } from "./policies.js";

/** Return {node, update({market, points, histories, now, hours}), highlight(fid)}. */
export function createCard({ instance_type, region, type }, remove) {
  const name = `${type} in ${region}`;
  const place = { instance_type, region };
  const chart = createChart(name);
  const errorNode = h("p", { class: "refusal", role: "alert" });
  const head = createHead(type, region, remove);
  const price = createSetter("Price", name, errorNode, (typed) => ["set-price", { ...place, price: number(typed) }]);
  const machines = createSetter("Machines", name, errorNode, (typed) => [
    "set-capacity",
    { ...place, machines: number(typed) },
  ]);
  const label = `Give the price of ${name} back to the market`;
  const back = h("button", { type: "button", class: "plain", "aria-label": label }, "Give back");
  back.addEventListener("click", async () => {
    // The button disappears, so the focus moves to a field that stays.
    if (await act("set-price", { ...place, price: null }, { control: back, errorNode })) price.input.focus();
  });
  const policies = createPolicies(place, name, chart.showPolicies);
  const controls = h("div", { class: "controls" }, price.node, back, machines.node, policies.button);
  return {
    node: h("article", { class: "card", "aria-label": name }, head.node, chart.node, controls, errorNode, policies.node),
    highlight: chart.highlight,
    update(state) {
      const { market } = state;
      chart.update(state);
      head.update(market);
      policies.update();
      show(back, market.by_hand);
      price.input.placeholder = market.price.toFixed(2);
      machines.input.placeholder = String(market.capacity);
    },
  };
}

function createHead(type, region, remove) {
  const price = h("p", { class: "big" });
  const byHand = h("span", { class: "tag" }, "set by hand");
  const free = h("p", { class: "dim" });
  const label = `Do not show ${type} in ${region}`;
  const close = h("button", { type: "button", class: "plain icon", "aria-label": label, onclick: remove }, "×");
  const title = h("h3", {}, type, " ", h("span", { class: "dim" }, region));
  return {
    node: h(
      "div",
      { class: "card-head" },
      h("div", {}, title, free),
      h("span", { class: "gap" }),
      byHand,
      price,
      close,
    ),
    update(market) {
      text(price, usd(market.price));
      text(free, `${market.full_name} · ${market.free} of ${market.capacity} free`);
      show(byHand, market.by_hand);
    },
  };
}

/** A form with one field. It is cleared on success, unless its text was changed meanwhile. */
function createSetter(what, name, errorNode, request) {
  const label = `${what} of ${name}`;
  const input = h("input", { "aria-label": label, inputmode: "decimal", autocomplete: "off" });
  const button = h("button", { type: "submit", "aria-label": `Set ${label}` }, "Set");
  const caption = h("span", { class: "dim", "aria-hidden": "true" }, what);
  const node = h("form", { class: "setter", novalidate: true }, caption, input, button);
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    const typed = input.value;
    if (typed.trim() === "") return input.focus();
    const done = await act(...request(typed.trim().replace(/^\$/, "")), { control: button, errorNode });
    if (done && input.value === typed) input.value = "";
  });
  return { node, input };
}
