/** The REST API, as pages see it: every answer is JSON, every refusal a Problem with the service's own words. */
import { session } from "./session.js";

/** What the service refused, or that it could not be reached. `code` is stable, `hint` says what to do, `fields` name bad fields. */
export class Problem extends Error {
  constructor({ status = 0, code = "unreachable", detail, hint = "", errors = [], request_id = null }) {
    super(detail);
    Object.assign(this, { status, code, hint, fields: errors, request: request_id });
  }
}

const SAFE = new Set(["GET", "HEAD"]);
const LOST = { detail: "The service does not answer.", hint: "Check that it is running and that you are connected; this page tries again." };

export const get = (path, options) => call("GET", path, options);
export const post = (path, body, options) => call("POST", path, { body, key: crypto.randomUUID?.(), ...options });
export const put = (path, body) => call("PUT", path, { body });
export const patch = (path, body) => call("PATCH", path, { body });
export const remove = (path) => call("DELETE", path);

/** The answer's JSON (null of 204). `headers` and `key` (Idempotency-Key) as they are given; the CSRF token is put in here. */
export async function call(method, path, { body, key, headers = {}, signal } = {}) {
  const sent = { Accept: "application/json", ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  if (key) sent["Idempotency-Key"] = key;
  if (!SAFE.has(method) && session.csrf) sent["X-CSRF-Token"] = session.csrf;
  const answer = await reached(path, { method, headers: sent, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  return judged(answer.status, answer.status === 204 ? "" : await answer.text());
}

async function reached(path, request) {
  try {
    return await fetch(path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(LOST);
  }
}

function judged(status, text) {
  const found = parsed(text);
  if (status < 400) return found;
  if (status === 401) session.lose();
  throw new Problem(found ?? { status, code: "unexpected", detail: `The service answered ${status}.` });
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return text; // a log as text, say
  }
}

/** Sends a form with a file and tells `progress(share)` on the way: fetch cannot. Resolves to the answer's JSON. */
export function upload(path, form, progress = () => {}, signal = undefined) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("X-CSRF-Token", session.csrf ?? "");
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => reject(new Problem(LOST));
    request.onabort = () => reject(new DOMException("The upload was stopped.", "AbortError"));
    request.onload = () => {
      try {
        resolve(judged(request.status, request.responseText));
      } catch (problem) {
        reject(problem);
      }
    };
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** Server-sent events of a job after `cursor`, until the returned function is called. The browser reconnects by itself. */
export function follow(path, types, tell, cursor = "0") {
  const source = new EventSource(`${path}?after=${cursor}`);
  for (const type of types) source.addEventListener(type, (event) => tell(JSON.parse(event.data)));
  return () => source.close();
}

/** `?name=value` of what is set; lists repeat the name. */
export function query(values) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== null && one !== undefined && one !== "") found.append(name, one);
  }
  const text = found.toString();
  return text && `?${text}`;
}
