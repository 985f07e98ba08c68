// Machines as small squares; states differ in shape as well as in colour.

import { attribute, h, keyed } from "./dom.js";

const STATES = {
  STATUS_NEW: ["new", "new"],
  STATUS_CONFIRMED: ["new", "confirmed"],
  STATUS_INITIALIZING: ["booting", "initializing"],
  STATUS_STARTING: ["booting", "starting"],
  STATUS_RUNNING: ["running", "running"],
  STATUS_STOPPING: ["leaving", "stopping"],
  STATUS_RELOCATING: ["leaving", "relocating"],
  STATUS_PREEMPTING: ["leaving", "being preempted"],
  STATUS_PAUSED: ["paused", "paused"],
  STATUS_ERROR: ["failed", "failed"],
  STATUS_PREEMPTED: ["over", "preempted"],
  STATUS_REPLACED: ["over", "replaced"],
  STATUS_TERMINATED: ["over", "terminated"],
};
const LEGEND = {
  new: "new",
  booting: "booting",
  running: "running",
  leaving: "leaving",
  paused: "paused",
  failed: "failed",
  over: "gone",
};
const MANY = 48;

const stateOf = ({ status }) => STATES[status] ?? ["new", status];
export const lookOf = (machine) => stateOf(machine)[0];
export const wordOf = (machine) => stateOf(machine)[1];

export function legend() {
  return Object.entries(LEGEND).map(([look, word]) => h("li", {}, h("i", { class: `machine ${look}` }), word));
}

/** Return a summary such as "3 running, 1 starting". */
export function sumOf(machines) {
  const counts = new Map();
  for (const machine of machines) counts.set(wordOf(machine), (counts.get(wordOf(machine)) ?? 0) + 1);
  return machines.length ? [...counts].map(([word, n]) => `${n} ${word}`).join(", ") : "no machines";
}

/** Return what runs on a machine at this boot of its disk, such as "boot 2: nothing runs"; "" for one that is off. */
export function workOf({ boot, runs }) {
  return runs ? `boot ${boot}: ${runs.join(", ") || "nothing runs"}` : "";
}

/** Return what runs on machines, such as "boot 1: start-up script"; numbered where they differ. */
export function worksOf(machines) {
  const counts = new Map();
  for (const work of machines.map(workOf).filter(Boolean)) counts.set(work, (counts.get(work) ?? 0) + 1);
  return [...counts].map(([work, n]) => (counts.size > 1 ? `${n} × ${work}` : work)).join(" · ");
}

export function drawMachines(parent, machines) {
  attribute(parent, "data-many", machines.length > MANY);
  keyed(parent, machines, "fid", () => {
    const node = h("i");
    return {
      node,
      update(machine) {
        attribute(node, "class", `machine ${lookOf(machine)}`);
        const parts = [machine.name, wordOf(machine), machine.ssh_destination, workOf(machine)].filter(Boolean);
        attribute(node, "data-tip", parts.join(", "));
      },
    };
  });
}
