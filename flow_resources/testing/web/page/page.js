// The page: asks the fake about once a second what there is, and hands the answer to the parts that show it.

import { createClusters } from "./clusters.js";
import { $, show, text, tooltips } from "./dom.js";
import { createFaults } from "./faults.js";
import { createHeader } from "./header.js";
import { updateRequests, updateVolumes } from "./lists.js";
import { createMarket } from "./market.js";
import { afterEveryVerb, overview, Refusal } from "./api.js";

const EVERY_MS = 1000;

const header = createHeader();
const market = createMarket(() => refresh());
const parts = [
  header.update,
  market.update,
  createClusters(market.highlight),
  createFaults(),
  updateRequests,
  updateVolumes,
];
let timer = null;
let asking = Promise.resolve();
let lastSeen = null;

/** Ask now, after whatever is being asked; resolves when the answer is on the page. */
function refresh() {
  clearTimeout(timer);
  asking = asking.then(ask);
  return asking;
}

async function ask() {
  clearTimeout(timer);
  try {
    const newest = await overview(market.view.places ?? [], market.view.hours);
    for (const update of parts) update(newest);
    sayThere();
  } catch (error) {
    // An address may name a market that this fake does not have.
    if (error.status >= 400 && error.status < 500 && market.view.places !== null) return market.follow();
    // Whatever went wrong, the next answer gets its chance; what is not the fake's doing is for the console as well.
    if (!(error instanceof Refusal)) console.error(error);
    sayGone(error instanceof Refusal ? error.message : "The fake answered what this page cannot read.");
  } finally {
    if (!document.hidden) timer = setTimeout(refresh, EVERY_MS);
  }
}

function sayGone(why) {
  header.stop();
  text($("gone"), `${why} ${lastSeen ? `What you see is from ${lastSeen}. ` : ""}Asking again every second.`);
  show($("gone"), true);
  document.documentElement.dataset.gone = "";
  document.title = "Gone – Fake Mithril";
}

function sayThere() {
  if (!$("gone").hidden) text($("spoken"), "The fake answers again.");
  lastSeen = new Date().toLocaleTimeString("en-GB");
  show($("gone"), false);
  delete document.documentElement.dataset.gone;
  document.title = "Fake Mithril";
}

tooltips($("tip"));
// A link's own way would put its target where the address keeps what is shown.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("clusters-title").focus();
});
afterEveryVerb(refresh);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
refresh();
