// The header: project, clock, auctions and costs.

import { $, segments, show, text } from "./dom.js";
import { day, moment, span, stopwatch, time, usd } from "./format.js";
import { act } from "./api.js";

const SPEEDS = [
  [0, "Stopped"],
  [1, "1×"],
  [60, "60×"],
  [600, "600×"],
  [3600, "3600×"],
];
const TICK_MS = 100;
const BACKWARDS_MS = 500;
const ARMED_MS = 4000;

/** Return {update(overview), stop()}: the clock runs between two updates, until `stop`. */
export function createHeader() {
  const errorNode = $("clock-refusal");
  let known = null;
  let shownAt = -Infinity;
  const showSpeed = segments($("speed"), SPEEDS, async (speed) => {
    await act("set-clock", { speed }, { control: $("speed"), errorNode });
    drawSpeed(known.overview.clock.speed);
  });
  const press = (button, request) =>
    button.addEventListener("click", () => act(...request(), { control: button, errorNode }));
  for (const button of document.querySelectorAll("[data-advance]")) {
    press(button, () => ["advance", { seconds: Number(button.dataset.advance) }]);
  }
  press($("hold-auction"), () => ["hold-auction", {}]);
  press($("next-auction"), () => {
    const { clock, auction } = known.overview;
    return ["advance", { seconds: (moment(auction.next) - moment(clock.now)) / 1000 }];
  });
  createReset();

  function drawSpeed(speed) {
    showSpeed(speed, `${Number(speed.toFixed(2))}×`);
  }

  /** Return the estimated time of the cloud; it does not jump back because of the latency of a response. */
  function present() {
    const { at, overview, running } = known;
    const now = moment(overview.clock.now) + (running ? overview.clock.speed * (performance.now() - at) : 0);
    const back = shownAt - now;
    if (back > 0 && back < BACKWARDS_MS * overview.clock.speed) return shownAt;
    return now;
  }

  function tick() {
    if (known === null) return;
    shownAt = present();
    text($("time"), time(shownAt));
    text($("day"), `${day(shownAt)} UTC`);
    text($("auction"), auctionOf(known.overview.auction, shownAt));
  }

  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) setInterval(tick, TICK_MS);

  return {
    update(overview) {
      known = { overview, at: performance.now(), running: true };
      const { project, story, spend, auction } = overview;
      text(
        $("identity"),
        `project ${project.name}, ${story === null ? "a still market" : `market of seed ${story.seed}`}`,
      );
      text($("spent"), usd(spend.total_usd));
      text($("per-hour"), usd(spend.per_hour_usd));
      show($("next-auction"), auction.next !== null);
      show($("hold-auction"), auction.seconds !== 0);
      // A response from before the change must not reset the control.
      if (!$("speed").hasAttribute("aria-busy")) drawSpeed(overview.clock.speed);
      tick();
    },
    stop() {
      if (known) known.running = false;
    },
  };
}

function auctionOf({ seconds, next }, now) {
  if (next !== null) return `every ${span(seconds)}, next in ${stopwatch((moment(next) - now) / 1000)}`;
  return seconds === null ? "auctions are held by hand" : "auctions happen at once";
}

/** The reset button needs a second press, within some seconds, to confirm. */
function createReset() {
  const button = $("reset");
  let timer = null;
  const disarm = () => {
    clearTimeout(timer);
    timer = null;
    text(button, "Start over");
  };
  button.addEventListener("click", async () => {
    if (timer === null) {
      text(button, "Forget everything?");
      timer = setTimeout(disarm, ARMED_MS);
      return;
    }
    disarm();
    await act("reset", {}, { control: button, errorNode: $("reset-refusal") });
  });
  button.addEventListener("blur", disarm);
}
