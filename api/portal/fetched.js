/** What a page has asked for: loaded once, asked again in intervals while the page is looked at, and when it is told to. */
import { get } from "./api.js";
import { useCallback, useEffect, useRef, useState } from "./vendor/preact.js";

/**
 * The answer to GET `path` (null: none wanted yet): `{data, problem, reload, set}`. Both null: it is on its way.
 * `every` milliseconds it is asked again, unless the tab is hidden; an old answer stays while a new one cannot be had.
 */
export function useGet(path, { every = 0 } = {}) {
  const [state, setState] = useState({ path, data: null, problem: null });
  const running = useRef(null);
  const load = useCallback(async () => {
    if (path === null) return;
    running.current?.abort();
    const mine = (running.current = new AbortController());
    try {
      const data = await get(path, { signal: mine.signal });
      setState({ path, data, problem: null });
    } catch (problem) {
      if (problem.name !== "AbortError") setState((old) => ({ path, data: old.path === path ? old.data : null, problem }));
    }
  }, [path]);
  useEffect(() => {
    load();
    return () => running.current?.abort();
  }, [load]);
  useTick(load, path === null ? 0 : every);
  const fresh = state.path === path;
  const set = useCallback((data) => setState({ path, data, problem: null }), [path]);
  return { data: fresh ? state.data : null, problem: fresh ? state.problem : null, reload: load, set };
}

/** Calls `work` each `every` milliseconds while the tab is visible; 0: never. */
export function useTick(work, every) {
  useEffect(() => {
    if (!every) return undefined;
    const timer = setInterval(() => document.hidden || work(), every);
    return () => clearInterval(timer);
  }, [work, every]);
}

/** A list that grows by its cursor: `{items, problem, more, reload}`; `more` is null at the end. The first page is asked again. */
export function useList(path, { every = 0 } = {}) {
  const first = useGet(path, { every });
  const [rest, setRest] = useState({ path, items: [], cursor: undefined });
  const later = rest.path === path ? rest : { items: [], cursor: undefined };
  const cursor = later.cursor === undefined ? first.data?.next_cursor : later.cursor;
  const more = async () => {
    const page = await get(`${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}`);
    setRest({ path, items: [...later.items, ...page.items], cursor: page.next_cursor });
  };
  const known = new Set(first.data?.items.map((item) => item.id));
  const items = first.data && [...first.data.items, ...later.items.filter((item) => !known.has(item.id))];
  return { items, problem: first.problem, reload: first.reload, more: cursor ? more : null };
}
