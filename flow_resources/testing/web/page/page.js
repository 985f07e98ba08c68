// The page: loads the overview once per second and passes it to its parts.

import { createClusters } from "./clusters.js";
import { $, show, text, tooltips } from "./dom.js";
import { createFaults } from "./faults.js";
import { createHeader } from "./header.js";
import { updateRequests, updateVolumes } from "./lists.js";
import { createMarket } from "./market.js";
import { setAfterVerb, overview, ApiError } from "./api.js";

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
let loading = Promise.resolve();
let lastSeen = null;

/** Load now, after any request in progress; resolves when the page is updated. */
function refresh() {
  clearTimeout(timer);
  loading = loading.then(load);
  return loading;
}

async function load() {
  clearTimeout(timer);
  try {
    const newest = await overview(market.view.places ?? [], market.view.hours);
    for (const update of parts) update(newest);
    showConnected();
  } catch (error) {
    // The URL may name a capacity pool that does not exist.
    if (error.status >= 400 && error.status < 500 && market.view.places !== null) return market.follow();
    // Loading continues after any error. One of the page itself is also logged.
    if (!(error instanceof ApiError)) console.error(error);
    showDisconnected(error instanceof ApiError ? error.message : "The fake answered what this page cannot read.");
  } finally {
    if (!document.hidden) timer = setTimeout(refresh, EVERY_MS);
  }
}

function showDisconnected(why) {
  header.stop();
  text($("gone"), `${why} ${lastSeen ? `What you see is from ${lastSeen}. ` : ""}Asking again every second.`);
  show($("gone"), true);
  document.documentElement.dataset.gone = "";
  document.title = "Gone – Fake Mithril";
}

function showConnected() {
  if (!$("gone").hidden) text($("spoken"), "The fake answers again.");
  lastSeen = new Date().toLocaleTimeString("en-GB");
  show($("gone"), false);
  delete document.documentElement.dataset.gone;
  document.title = "Fake Mithril";
}

tooltips($("tip"));
// The default action of the link would replace the fragment of the URL, which stores the selection.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("clusters-title").focus();
});
setAfterVerb(refresh);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
refresh();
