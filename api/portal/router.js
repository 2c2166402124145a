/** Addresses within the page: `#/jobs/job_1?tab=logs`. Links are plain anchors; the browser's history works by itself. */
import { useEffect, useState } from "./vendor/preact.js";

/** The path and the query of the address as it is. */
export function here() {
  const [path, search = ""] = location.hash.replace(/^#/, "").split("?");
  return { path: path || "/jobs", query: Object.fromEntries(new URLSearchParams(search)) };
}

export function go(path) {
  location.hash = path;
}

/** Changes the query of this address; no step in the history, as for a filter that is being typed. */
export function refine(values) {
  const { path, query } = here();
  const merged = Object.entries({ ...query, ...values }).filter(([, value]) => value);
  const search = new URLSearchParams(merged).toString();
  history.replaceState(null, "", `#${path}${search && `?${search}`}`);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** The address, for a component that is drawn again when it changes. */
export function useAddress() {
  const [address, set] = useState(here());
  useEffect(() => {
    const changed = () => set(here());
    addEventListener("hashchange", changed);
    changed(); // it may have changed between the first drawing and this
    return () => removeEventListener("hashchange", changed);
  }, []);
  return address;
}

/** The parameters of a path by a pattern such as /jobs/:id; null where it does not fit. */
export function match(pattern, path) {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return null;
  const found = {};
  for (const [place, word] of wanted.entries()) {
    if (word.startsWith(":")) found[word.slice(1)] = decodeURIComponent(given[place]);
    else if (word !== given[place]) return null;
  }
  return found;
}
