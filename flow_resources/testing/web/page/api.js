// The fake over HTTP: what it shows, and the verbs that change it. The only file that fetches.

const BASE = "/mithril-fake";
const PATIENCE_MS = 5000;

/** What the fake answered when it would not (status null: nothing), with the names of the fields that were wrong. */
export class Refusal extends Error {
  constructor(message, status = null, fields = []) {
    super(message);
    this.status = status;
    this.fields = fields;
  }
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(BASE + path, { ...options, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    throw new Refusal(error.name === "TimeoutError" ? "No answer within 5 s." : "The fake cannot be reached.");
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  throw refusal(response.status, body?.detail);
}

function refusal(status, detail) {
  if (typeof detail === "string") return new Refusal(detail, status);
  if (!Array.isArray(detail)) return new Refusal(`The fake answered ${status}.`, status);
  const fields = detail.map((one) => String(one.loc?.at(-1) ?? ""));
  return new Refusal(detail.map((one, index) => `${fields[index]}: ${one.msg}`).join("; "), status, fields);
}

export function overview(places, hours) {
  const query = new URLSearchParams(places.map((place) => ["place", place]));
  query.set("hours", hours);
  return call(`/overview?${query}`);
}

let afterwards = async () => {};

/** Have `refresh` awaited after every verb, so that its result is seen at once. */
export function afterEveryVerb(refresh) {
  afterwards = refresh;
}

/**
 * Do a verb once, however often the button is pressed meanwhile, and say a refusal in `complaint`.
 * Returns whether it was done; fields of `form` that the fake did not like are marked.
 */
export async function act(verb, body, { control, complaint, form = null }) {
  if (control.getAttribute("aria-busy") === "true") return false;
  control.setAttribute("aria-busy", "true");
  complaint.textContent = "";
  for (const field of form?.elements ?? []) field.removeAttribute("aria-invalid");
  try {
    const headers = { "Content-Type": "application/json" };
    await call(`/${verb}`, { method: "POST", headers, body: JSON.stringify(body) });
    await afterwards();
    return true;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    complaint.textContent = error.message;
    for (const name of error.fields) form?.elements.namedItem(name)?.setAttribute("aria-invalid", "true");
    return false;
  } finally {
    control.removeAttribute("aria-busy");
  }
}
