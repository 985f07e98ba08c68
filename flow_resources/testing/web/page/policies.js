// What usual policies would bid in one capacity pool, and what each would have held: a table, and lines of the chart.

import { bidPolicies } from "./api.js";
import { h, keyed, segments, show, text } from "./dom.js";
import { usd } from "./format.js";

const RANGES = [
  [24, "1 d"],
  [168, "7 d"],
];
const EVERY_MS = 10_000; // a week of prices costs the fake a third of a second
let count = 0;

/** Return {button, node, update()}; `changed` is called with the policies to draw, none when closed. */
export function createPolicies({ instance_type, region }, name, changed) {
  const id = `policies-${++count}`;
  const label = `What to bid for ${name}`;
  const attributes = { type: "button", class: "plain", "aria-expanded": "false", "aria-controls": id };
  const button = h("button", { ...attributes, "aria-label": label }, "What to bid");
  const range = h("fieldset", { class: "segments", id: `${id}-range` }, h("legend", { class: "unseen" }, "Last days"));
  const typing = { inputmode: "numeric", autocomplete: "off", value: "1" };
  const machines = h("input", { ...typing, "aria-label": `Machines to bid for of ${name}` });
  const rows = h("tbody");
  const errorNode = h("p", { class: "refusal", role: "alert" });
  const heads = ["Policy", "Bid", "Held", "At most"].map((head) => h("th", { scope: "col" }, head));
  const node = h(
    "div",
    { class: "policies", id, hidden: true },
    h("div", { class: "asked" }, range, h("span", { class: "dim", "aria-hidden": "true" }, "Machines"), machines),
    h("table", { "aria-label": label }, h("thead", {}, h("tr", {}, ...heads)), rows),
    errorNode,
  );
  let hours = 24;
  let loadedAt = -Infinity;
  let asked = 0;
  const showRange = segments(range, RANGES, (picked) => {
    hours = picked;
    showRange(hours);
    load();
  });
  showRange(hours);
  button.addEventListener("click", () => {
    show(node, node.hidden);
    button.setAttribute("aria-expanded", String(!node.hidden));
    if (node.hidden) changed([]);
    else load();
  });
  machines.addEventListener("change", () => load());

  async function load() {
    loadedAt = performance.now();
    const mine = ++asked;
    try {
      const policies = await bidPolicies({ instance_type, region, hours, machines: machines.value.trim() });
      // An answer to an older question, or to one that nobody asks any more, is not shown.
      if (mine !== asked || node.hidden) return;
      text(errorNode, "");
      keyed(rows, policies, "policy", createRow);
      changed(policies);
    } catch (error) {
      if (mine === asked) text(errorNode, error.message);
    }
  }

  return {
    button,
    node,
    update() {
      if (!node.hidden && performance.now() - loadedAt >= EVERY_MS) load();
    },
  };
}

function createRow({ policy }) {
  const [bid, held, most] = [0, 1, 2].map(() => h("td", { class: "number" }));
  return {
    node: h("tr", {}, h("th", { scope: "row" }, policy), bid, held, most),
    update(row) {
      text(bid, usd(row.price));
      // What is not quite all of the time is never shown as all of it.
      text(held, `${(Math.floor(row.held * 1000) / 10).toFixed(1)} %`);
      text(most, `${usd(row.max_per_hour)}/h`);
    },
  };
}
