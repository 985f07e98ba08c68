// The lists of requests and of volumes.

import { $, attribute, h, keyed, show, text } from "./dom.js";
import { count, day, moment, time } from "./format.js";

export function updateRequests({ requests }) {
  show($("no-requests"), requests.length === 0);
  show($("requests"), requests.length > 0);
  keyed($("requests"), named(requests), "key", createRequest);
}

/** Add a key to each request, which has no id: equal ones are numbered, starting with the oldest. */
function named(requests) {
  const seen = new Map();
  return requests
    .toReversed()
    .map((request) => {
      const alike = `${request.at} ${request.method} ${request.path}`;
      seen.set(alike, (seen.get(alike) ?? 0) + 1);
      return { ...request, key: `${alike} ${seen.get(alike)}` };
    })
    .reverse();
}

function createRequest({ at, method, path }) {
  const status = h("span", { class: "number" });
  const fault = h("span", { class: "tag bad" });
  const effect = h("i", { class: "effect", role: "img", "aria-label": "changed something" });
  const node = h(
    "li",
    {},
    h("time", { title: day(moment(at)) }, time(moment(at))),
    h("span", { class: "method" }, method),
    h("span", { class: "path", title: path }, h("bdi", {}, path)),
    fault,
    effect,
    status,
  );
  return {
    node,
    update(request) {
      text(status, request.status ?? "–");
      attribute(status, "title", request.status === null ? "never answered" : null);
      attribute(status, "data-class", request.status === null ? "none" : Math.floor(request.status / 100));
      show(fault, request.fault !== null && request.fault !== false);
      text(fault, request.fault === true ? "fault" : (request.fault ?? ""));
      show(effect, request.effect);
    },
  };
}

export function updateVolumes({ volumes, bids }) {
  const names = new Map(bids.map((bid) => [bid.fid, bid.name]));
  show($("no-volumes"), volumes.length === 0);
  const size = volumes.reduce((sum, volume) => sum + volume.capacity_gb, 0);
  text(
    $("volumes-sum"),
    volumes.length ? `${count(volumes.length, "volume")}, ${size.toLocaleString("en-US")} GB` : "",
  );
  keyed($("volumes"), volumes, "fid", () => {
    const [name, what, use] = [h("strong"), h("span", { class: "dim" }), h("span", { class: "dim" })];
    const node = h("li", {}, name, h("span", { class: "number" }), what, use);
    return {
      node,
      update(volume) {
        text(name, volume.name);
        text(node.children[1], `${volume.capacity_gb} GB`);
        text(what, `${volume.interface} · ${volume.region} · ${volume.fid}`);
        text(
          use,
          volume.bids.length ? `used by ${volume.bids.map((fid) => names.get(fid) ?? fid).join(", ")}` : "not used",
        );
      },
    };
  });
}
