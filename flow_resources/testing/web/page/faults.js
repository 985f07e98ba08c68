// Faults: a form that describes the rule it adds, presets, and the list of rules.

import { $, h, keyed, show, text } from "./dom.js";
import { count, number, span } from "./format.js";
import { act } from "./api.js";

const KINDS = {
  status: "Answer with a status",
  reset: "Cut the connection",
  hang: "Never answer",
  truncate: "Send half an answer",
  malformed: "Send what is not JSON",
  slow: "Answer late",
  drip: "Answer in pieces",
  refuse: "Go away for a while",
};
const METHODS = ["", "GET", "POST", "PATCH", "DELETE"];
const BIDS = "^/v2/spot/bids$";
const PRESETS = [
  ["Lost answer of the next bid", { kind: "reset", method: "POST", path: BIDS, when: "after", times: 1 }],
  ["503 for everything", { kind: "status", status: 503, times: null }],
  ["429 once", { kind: "status", status: 429, times: 1 }],
  ["Everything 2 s late", { kind: "slow", seconds: 2, times: null }],
  ["Half a list of bids", { kind: "truncate", method: "GET", path: BIDS, times: 1 }],
  ["One in five cut", { kind: "reset", rate: 0.2, times: null }],
];
const EMPTY = { method: null, path: null, nth: 1, times: 1, when: "before", status: null, seconds: null, rate: null };

/** Return update(overview). */
export function createFaults() {
  const form = $("fault");
  const errorNode = $("fault-refusal");
  for (const [kind, label] of Object.entries(KINDS)) form.elements.kind.append(h("option", { value: kind }, label));
  for (const method of METHODS) form.elements.method.append(h("option", { value: method }, method || "any"));
  for (const [label, rule] of PRESETS) {
    $("presets").append(h("button", { type: "button", onclick: () => fill({ ...EMPTY, ...rule }, true) }, label));
  }

  function fill(rule, ready) {
    for (const [name, value] of Object.entries(rule)) {
      form.elements[name].value = name === "rate" && value !== null ? value * 100 : (value ?? "");
    }
    updateForm();
    if (ready) form.querySelector("[type=submit]").focus();
  }

  function updateForm() {
    errorNode.textContent = "";
    for (const field of form.querySelectorAll("[data-for]"))
      show(field, field.dataset.for.split(" ").includes(form.elements.kind.value));
    text($("fault-sentence"), sentence(read(form)));
  }

  form.addEventListener("input", updateForm);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act("add-fault", read(form), { control: form.querySelector("[type=submit]"), errorNode, form });
  });
  $("clear-faults").addEventListener("click", async (event) => {
    if (await act("clear-faults", {}, { control: event.currentTarget, errorNode })) form.elements.kind.focus();
  });
  fill({ ...EMPTY, ...PRESETS[0][1] }, false);

  return ({ faults }) => {
    show($("clear-faults"), faults.length > 0);
    show($("no-faults"), faults.length === 0);
    keyed($("faults"), faults, "id", createRule);
  };
}

function read(form) {
  const rule = {
    kind: form.elements.kind.value,
    method: form.elements.method.value || null,
    path: form.elements.path.value || null,
  };
  for (const name of ["nth", "times", "status", "seconds", "rate"]) {
    const field = form.elements[name];
    rule[name] = field.closest("[hidden]") ? null : number(field.value);
  }
  if (typeof rule.rate === "number") rule.rate /= 100;
  const when = form.elements.when;
  return { ...rule, nth: rule.nth ?? 1, when: when.closest("[hidden]") ? "before" : when.value };
}

/** Return the description of a rule: which requests it applies to, how often, and its effect. */
function sentence(rule) {
  const chance = typeof rule.rate === "number" ? `, with a chance of ${Math.round(rule.rate * 100)} %,` : "";
  const done = rule.when === "after";
  // This kind affects not the response, but the connections after it.
  if (rule.kind === "refuse") {
    const gone = `nobody listens for ${span(rule.seconds ?? 1)}`;
    return `${subject(rule)}${chance} ${done ? "is answered" : "has its connection cut"}, and then ${gone}.`;
  }
  return `${subject(rule)}${chance} ${done ? "is carried out, but " : ""}${effect(rule)}.`;
}

function subject({ method, path, nth, times }) {
  const noun = method ?? "request";
  const where = path ? ` to ${path}` : "";
  if (times === 1) return nth > 1 ? `The ${ordinal(nth)} ${noun}${where} from now` : `The next ${noun}${where}`;
  const since = nth > 1 ? ` from the ${ordinal(nth)} on` : "";
  return times === null ? `Every ${noun}${where}${since}` : `Each of the next ${times} ${noun}s${where}${since}`;
}

function effect({ kind, status, seconds }) {
  const limit = seconds === null ? "" : span(seconds);
  if (kind === "status") return `is answered ${status ?? 500}`;
  if (kind === "reset") return "has its connection cut";
  if (kind === "hang") return `gets no answer${limit && `, and is cut after ${limit}`}`;
  if (kind === "truncate") return "gets half of its answer";
  if (kind === "malformed") return "gets an answer that is not JSON";
  if (kind === "alter") return "gets its answer with other values in it";
  if (kind === "slow") return `is answered ${limit || "0 s"} late`;
  if (kind === "drip") return `gets its answer in pieces, over ${limit || "0 s"}`;
  return "is answered properly";
}

function ordinal(n) {
  const ending = n % 100 > 10 && n % 100 < 14 ? "th" : ({ 1: "st", 2: "nd", 3: "rd" }[n % 10] ?? "th");
  return `${n}${ending}`;
}

function createRule(rule) {
  const struck = h("span", { class: "dim number" });
  const node = h("li", {}, h("span", {}, sentence(rule)), struck);
  return {
    node,
    update(newest) {
      const usedUp = newest.times !== null && newest.fired >= newest.times;
      node.classList.toggle("used-up", usedUp);
      const often = `Struck ${newest.fired} of ${count(newest.seen, "matching request")}`;
      text(struck, newest.seen === 0 ? "No request has matched yet" : usedUp ? `${often}, and is over` : often);
    },
  };
}
