/** Hash routing, as in `#/jobs/job_1?tab=logs`. Links are plain anchors. */
import { useEffect, useState } from "../vendor/preact.js";

/** Paths of the pages that show a resource, by kind. */
const RESOURCE_PATHS = {
  job: "/jobs", model: "/models", dataset: "/datasets", teacher: "/teachers",
};

/** Return the link to a resource's page, or null if this kind has no page. */
export const resourceUrl = (kind, id) =>
  kind in RESOURCE_PATHS ? `#${RESOURCE_PATHS[kind]}/${id}` : null;

/** Return the current {path, query}. */
function parseLocation() {
  const [path, search = ""] = location.hash.replace(/^#/, "").split("?");
  return { path: path || "/jobs", query: Object.fromEntries(new URLSearchParams(search)) };
}

export function navigate(path) {
  location.hash = path;
}

/** Merge `values` into the query without adding a history entry, as while a filter is typed. */
export function updateQuery(values) {
  const { path, query } = parseLocation();
  const merged = Object.entries({ ...query, ...values }).filter(([, value]) => value);
  const search = new URLSearchParams(merged).toString();
  history.replaceState(null, "", `#${path}${search && `?${search}`}`);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** Return the current {path, query} and re-render the component when it changes. */
export function useLocation() {
  const [current, setCurrent] = useState(parseLocation());
  useEffect(() => {
    const update = () => setCurrent(parseLocation());
    addEventListener("hashchange", update);
    update(); // the hash may have changed between the first render and this effect
    return () => removeEventListener("hashchange", update);
  }, []);
  return current;
}

/** Return the parameters of a path that matches a pattern such as /jobs/:id, or null. */
export function matchPath(pattern, path) {
  const expected = pattern.split("/");
  const actual = path.split("/");
  if (expected.length !== actual.length) return null;
  const parameters = {};
  for (const [index, segment] of expected.entries()) {
    if (segment.startsWith(":")) parameters[segment.slice(1)] = decodeURIComponent(actual[index]);
    else if (segment !== actual[index]) return null;
  }
  return parameters;
}
