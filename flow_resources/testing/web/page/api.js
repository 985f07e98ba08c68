// The control API over HTTP. The only file that sends requests.

const BASE = "/mithril-fake";
const TIMEOUT_MS = 5000;

/** An error response, with the names of the wrong fields; `status` is null if there was no response. */
export class ApiError extends Error {
  constructor(message, status = null, fields = []) {
    super(message);
    this.status = status;
    this.fields = fields;
  }
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(BASE + path, { ...options, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    throw new ApiError(error.name === "TimeoutError" ? "No answer within 5 s." : "The fake cannot be reached.");
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  throw toApiError(response.status, body?.detail);
}

function toApiError(status, detail) {
  if (typeof detail === "string") return new ApiError(detail, status);
  if (!Array.isArray(detail)) return new ApiError(`The fake answered ${status}.`, status);
  const fields = detail.map((one) => String(one.loc?.at(-1) ?? ""));
  return new ApiError(detail.map((one, index) => `${fields[index]}: ${one.msg}`).join("; "), status, fields);
}

export function overview(places, hours) {
  const query = new URLSearchParams(places.map((place) => ["place", place]));
  query.set("hours", hours);
  return call(`/overview?${query}`);
}

export function bidPolicies(what) {
  return call(`/bid-policies?${new URLSearchParams(what)}`);
}

let afterVerb = async () => {};

/** Set a function that is awaited after every verb, to show its result at once. */
export function setAfterVerb(refresh) {
  afterVerb = refresh;
}

/**
 * Perform a verb, unless `control` is already busy with one. Shows an error in `errorNode`, and marks the wrong fields
 * of `form`. Returns whether the verb was performed.
 */
export async function act(verb, body, { control, errorNode, form = null }) {
  if (control.getAttribute("aria-busy") === "true") return false;
  control.setAttribute("aria-busy", "true");
  errorNode.textContent = "";
  for (const field of form?.elements ?? []) field.removeAttribute("aria-invalid");
  try {
    const headers = { "Content-Type": "application/json" };
    await call(`/${verb}`, { method: "POST", headers, body: JSON.stringify(body) });
    await afterVerb();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    errorNode.textContent = error.message;
    for (const name of error.fields) form?.elements.namedItem(name)?.setAttribute("aria-invalid", "true");
    return false;
  } finally {
    control.removeAttribute("aria-busy");
  }
}
