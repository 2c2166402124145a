/** REST API client: responses are parsed JSON, and failures are thrown as `ApiError`. */
import { session } from "./session.js";

/**
 * A request that the service rejected or that did not reach it. `code` is stable, `hint` says what
 * to do next, and `fieldErrors` is a list of {pointer, message}.
 */
export class ApiError extends Error {
  constructor(problem) {
    const { status = 0, code = "unreachable", hint = "", errors = [], request_id = null } = problem;
    super(problem.detail);
    Object.assign(this, { status, code, hint, fieldErrors: errors, requestId: request_id });
  }
}

const SAFE_METHODS = new Set(["GET", "HEAD"]);
const NETWORK_ERROR = {
  detail: "The service cannot be reached.",
  hint: "Check your connection, make sure that the service is running, and try again.",
};

export const get = (path, options) => sendRequest("GET", path, options);
export const post = (path, body, options) =>
  sendRequest("POST", path, { body, key: crypto.randomUUID?.(), ...options });
export const put = (path, body) => sendRequest("PUT", path, { body });
export const patch = (path, body) => sendRequest("PATCH", path, { body });
export const remove = (path) => sendRequest("DELETE", path);

/**
 * Send a request and return the parsed response, or null for 204. `key` is the Idempotency-Key.
 * The CSRF token is added to every unsafe method.
 */
export async function sendRequest(method, path, { body, key, headers = {}, signal } = {}) {
  const allHeaders = { Accept: "application/json", ...headers };
  if (body !== undefined) allHeaders["Content-Type"] = "application/json";
  if (key) allHeaders["Idempotency-Key"] = key;
  if (!SAFE_METHODS.has(method) && session.csrf) allHeaders["X-CSRF-Token"] = session.csrf;
  const content = body === undefined ? undefined : JSON.stringify(body);
  const response = await fetchOrThrow(path, { method, headers: allHeaders, signal, body: content });
  return parseResponse(response.status, response.status === 204 ? "" : await response.text());
}

/** Call `fetch`, and turn a network failure into an ApiError. */
export async function fetchOrThrow(path, request) {
  try {
    return await fetch(path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(NETWORK_ERROR);
  }
}

/** Return the parsed body, or throw an ApiError if the status is 400 or above. */
export function parseResponse(status, text) {
  const body = parseBody(text);
  if (status < 400) return body;
  if (status === 401) session.expire();
  const isProblem = body !== null && typeof body === "object";
  const detail = `The service returned an unexpected response (HTTP ${status}).`;
  throw new ApiError(isProblem ? body : { status, code: "unexpected", detail });
}

function parseBody(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return text; // plain text, such as a model card
  }
}

/**
 * Subscribe to a job's server-sent events after `cursor`, until the returned function is called.
 * The browser reconnects on its own.
 */
export function subscribe(path, types, onEvent, cursor = "0") {
  const source = new EventSource(`${path}?after=${cursor}`);
  const listener = (event) => onEvent(JSON.parse(event.data));
  for (const type of types) source.addEventListener(type, listener);
  return () => source.close();
}

/** Return `?name=value&…` for all non-empty values. Lists repeat the name. */
export function queryString(values) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== null && item !== undefined && item !== "") search.append(name, item);
    }
  }
  const text = search.toString();
  return text && `?${text}`;
}
