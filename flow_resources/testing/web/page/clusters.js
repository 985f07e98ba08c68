// Clusters: one row per bid, with its machines, its price, its buttons and its events.

import { $, attribute, h, keyed, show, text } from "./dom.js";
import { count, day, moment, number, price, time, usd } from "./format.js";
import { drawMachines, legend, lookOf, sumOf, wordOf, workOf, worksOf } from "./machines.js";
import { act } from "./api.js";

/** Return update(overview); `highlight` is called with the id of the bid under the pointer or the focus, or null. */
export function createClusters(highlight) {
  $("legend").append(...legend());
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText($("exports").textContent);
    text($("copy"), "Copied");
    setTimeout(() => text($("copy"), "Copy"), 2000);
  });
  return (overview) => {
    const items = overview.bids.map((bid) => ({ fid: bid.fid, bid, ...relatedItems(bid, overview) }));
    const live = items.filter(({ bid }) => bid.status !== "Terminated");
    const over = items.filter(({ bid }) => bid.status === "Terminated");
    keyed($("clusters"), live, "fid", ({ fid }) => createRow(fid, highlight));
    keyed($("ended-clusters"), over, "fid", ({ fid }) => createRow(fid, highlight));
    show($("no-clusters"), live.length === 0);
    show($("ended"), over.length > 0);
    text($("ended-sum"), `${over.length} ended`);
    const machines = live.flatMap(({ bid }) => bid.instances).length;
    text($("clusters-sum"), live.length ? `${count(live.length, "live bid")}, ${count(machines, "machine")}` : "");
    text($("exports"), exportsOf(overview));
  };
}

function exportsOf({ project, region, flow_dir: folder, default_key: usual }) {
  const values = {
    MITHRIL_API_URL: location.origin,
    // The page does not receive API keys, only whether the default key is valid.
    MITHRIL_API_KEY: usual ? "test-key" : "<the key it was started with>",
    MITHRIL_PROJECT: project.name,
    MITHRIL_REGION: region,
    FLOW_DIR: folder,
  };
  // Values are quoted for a shell: the name of a project is arbitrary text.
  const quoted = (value) => (/^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", `'"'"'`)}'`);
  return Object.entries(values)
    .map(([name, value]) => `export ${name}=${quoted(value)}`)
    .join("\n");
}

function relatedItems(bid, { markets, volumes, auction }) {
  const known = new Map(volumes.map((volume) => [volume.fid, volume]));
  return {
    market:
      markets.find((market) => market.instance_type === bid.instance_type && market.region === bid.region) ?? null,
    volumes: bid.volumes.map((fid) => known.get(fid) ?? { fid, name: fid, gone: true }),
    auction,
  };
}

/** Return why a bid has its status, in a few words. */
function reason({ bid, market, auction }) {
  if (bid.status === "Preempting") return "machines go when the notice is over";
  if (bid.status === "Terminated") return bid.deactivated_at ? `ended ${time(moment(bid.deactivated_at))}` : "";
  if (bid.status !== "Open") return "";
  if (bid.held) return "preempted by hand, until released";
  if (bid.price > price(bid.limit_price)) return "the price is above its limit";
  if (market !== null && market.free < bid.instance_quantity)
    return `needs ${bid.instance_quantity}, ${market.free} free`;
  return auction.seconds === 0 ? "waits for machines" : "waits for the next auction";
}

function createRow(fid, highlight) {
  const name = h("strong");
  const status = h("span", { class: "status" });
  const why = h("span", { class: "dim" });
  const what = h("p", { class: "dim" });
  const volumes = h("p", { class: "dim" });
  const machines = h("div", { class: "machines", role: "img" });
  const sum = h("p", { class: "dim" });
  const works = h("p", { class: "dim works" });
  const money = createMoney();
  const errorNode = h("p", { class: "refusal", role: "alert" });
  const more = createHistory(fid, errorNode);
  const actions = createActions(fid, errorNode);
  const opener = h("button", { type: "button", class: "plain opener", "aria-expanded": "false" }, h("i"), name);
  let shown = null;
  opener.addEventListener("click", () => {
    show(more.node, more.node.hidden);
    opener.setAttribute("aria-expanded", String(!more.node.hidden));
    more.update(shown);
  });
  const node = h(
    "li",
    { class: "row" },
    h(
      "div",
      { class: "line" },
      h("div", { class: "who" }, opener, h("p", {}, status, why), what, volumes),
      h("div", {}, machines, sum, works),
      ...money.nodes,
      actions.node,
    ),
    errorNode,
    more.node,
  );
  for (const event of ["pointerenter", "focusin"]) node.addEventListener(event, () => highlight(fid));
  for (const event of ["pointerleave", "focusout"]) node.addEventListener(event, () => highlight(null));
  return {
    node,
    update(item) {
      const { bid } = item;
      shown = bid;
      text(name, bid.name);
      text(status, bid.status);
      attribute(status, "data-status", bid.status);
      const reasonText = reason(item);
      text(why, reasonText && ` · ${reasonText}`);
      text(what, `${bid.instance_quantity} × ${bid.type} · ${bid.region} · ${bid.fid}`);
      text(
        volumes,
        item.volumes
          .map((volume) => (volume.gone ? `${volume.fid} (deleted)` : `${volume.name}, ${volume.capacity_gb} GB`))
          .join(" · "),
      );
      show(volumes, item.volumes.length > 0);
      attribute(machines, "aria-label", `Machines of ${bid.name}: ${sumOf(bid.instances)}`);
      drawMachines(machines, bid.instances);
      show(machines, bid.instances.length > 0);
      text(sum, sumOf(bid.instances));
      const running = worksOf(bid.instances);
      text(works, running);
      show(works, running !== "");
      money.update(bid);
      actions.update(bid);
      more.update(bid);
    },
  };
}

function createMoney() {
  const now = h("span", { class: "number" });
  const limit = h("span", { class: "dim number" });
  const bar = h("i");
  const most = h("p", { class: "dim" });
  const spent = h("p", { class: "number" });
  const rate = h("p", { class: "dim number" });
  const track = h("div", { class: "track" }, bar);
  return {
    nodes: [h("div", {}, h("p", {}, now, limit), track, most), h("div", { class: "spent" }, spent, rate)],
    update(bid) {
      const top = price(bid.limit_price);
      const over = bid.price > top;
      const holds = bid.status === "Allocated" || bid.status === "Preempting";
      const ended = bid.status === "Terminated";
      text(now, ended ? "" : usd(bid.price));
      text(limit, `${ended ? "" : " of "}${usd(top)} limit`);
      bar.style.width = `${Math.min(100, (bid.price / top) * 100)}%`;
      attribute(track, "data-over", over);
      show(track, !ended);
      text(most, ended ? "" : `at most ${usd(top * bid.instance_quantity)}/h in all`);
      text(spent, `${usd(bid.spent_usd)} spent`);
      // The limit is the maximum: a bid below the price holds its machines until the next auction and the notice end.
      const paid = Math.min(bid.price, top) * bid.instance_quantity;
      text(rate, holds ? `${usd(paid)}/h now` : "");
    },
  };
}

function createActions(fid, errorNode) {
  const button = (label, verb) => {
    const made = h("button", { type: "button" }, label);
    made.addEventListener("click", async (event) => {
      // Ignore the second click of a double click: the first may have changed what the button does.
      if (event.detail > 1) return;
      const [name, body] = verb();
      await act(name, { bid_id: fid, ...body }, { control: made, errorNode });
      if (!made.isConnected) $("clusters-title").focus();
    });
    return made;
  };
  let held = false;
  const market = button("Preempt", () => (held ? ["release", {}] : ["preempt", { notice_seconds: null }]));
  const fail = button("Fail boot", () => ["fail-boot", {}]);
  const end = button("Terminate", () => ["terminate", {}]);
  const node = h("div", { class: "actions" }, market, fail, end);
  fail.dataset.tip = "Put its machines into STATUS_ERROR";
  return {
    node,
    update(bid) {
      held = bid.held;
      text(market, held ? "Release" : "Preempt");
      market.dataset.tip = held
        ? "Let it back into the auction"
        : "Take its machines away, and keep it out of the auction";
      attribute(market, "disabled", !held && bid.status !== "Allocated");
      attribute(fail, "disabled", bid.status !== "Allocated");
      for (const child of node.children) attribute(child, "aria-label", `${child.textContent} ${bid.name}`);
      show(node, bid.status !== "Terminated");
    },
  };
}

function createHistory(fid, errorNode) {
  const events = h("ol", { class: "events" });
  const machines = h("ul", { class: "machine-list" });
  const seconds = h("input", { inputmode: "decimal", autocomplete: "off", value: "60" });
  const submit = h("button", { type: "submit" }, "Preempt with notice");
  const notice = h("form", { class: "setter", novalidate: true }, h("label", {}, "Notice, seconds ", seconds), submit);
  notice.addEventListener("submit", (event) => {
    event.preventDefault();
    act("preempt", { bid_id: fid, notice_seconds: number(seconds.value) }, { control: submit, errorNode });
  });
  const none = h("p", { class: "dim" }, "It holds no machines.");
  const node = h(
    "div",
    { class: "more", hidden: true },
    h("div", {}, h("h4", {}, "History"), events),
    h("div", {}, h("h4", {}, "Machines"), machines, none, notice),
  );
  return {
    node,
    update(bid) {
      if (node.hidden) return;
      const history = bid.events.map((event, index) => ({ ...event, index }));
      keyed(events, history.toReversed(), "index", createEvent);
      keyed(machines, bid.instances, "fid", createMachine);
      show(none, bid.instances.length === 0);
      show(notice, bid.status === "Allocated");
    },
  };
}

function createEvent(event) {
  const at = moment(event.timestamp);
  const limit = event.limit_price ? h("span", { class: "number" }, ` ${event.limit_price}`) : "";
  const node = h(
    "li",
    { "data-event": event.event_type },
    h("time", { title: day(at) }, time(at)),
    h("span", {}, event.event_type, limit),
  );
  return { node, update() {} };
}

function createMachine() {
  const [square, name, state, address] = [h("i"), h("span"), h("span", { class: "dim" }), h("code")];
  const work = h("span", { class: "dim work" });
  return {
    node: h("li", {}, square, name, state, address, work),
    update(machine) {
      attribute(square, "class", `machine ${lookOf(machine)}`);
      text(name, `${machine.name} ${machine.fid}`);
      text(state, wordOf(machine));
      text(address, machine.ssh_destination ?? "");
      text(work, workOf(machine));
      show(work, machine.runs !== null);
    },
  };
}
