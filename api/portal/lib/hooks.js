/** Hooks that load data from the API, with polling and pagination. */
import { get } from "./api.js";
import { useCallback, useEffect, useRef, useState } from "../vendor/preact.js";

/** Re-render the component whenever `subscribe` calls back. */
export function useRerenderOn(subscribe) {
  const [, setCount] = useState(0);
  useEffect(() => subscribe(() => setCount((count) => count + 1)), []);
}

/**
 * Fetch `path`, or nothing if it is null, and return {data, error, reload, setData}. While the
 * first response is pending, data and error are null. If `intervalMs` is set, the path is fetched
 * again at this interval while the tab is visible. If a later request fails, the last data stays
 * available.
 */
export function useFetch(path, { intervalMs = 0 } = {}) {
  const [state, setState] = useState({ path, data: null, error: null });
  const running = useRef(null);
  const reload = useCallback(async () => {
    if (path === null) return;
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    try {
      const data = await get(path, { signal: controller.signal });
      setState({ path, data, error: null });
    } catch (error) {
      if (error.name === "AbortError") return;
      setState((old) => ({ path, data: old.path === path ? old.data : null, error }));
    }
  }, [path]);
  useEffect(() => {
    reload();
    return () => running.current?.abort();
  }, [reload]);
  useInterval(reload, path === null ? 0 : intervalMs);
  const setData = useCallback((data) => setState({ path, data, error: null }), [path]);
  const isCurrent = state.path === path;
  const data = isCurrent ? state.data : null;
  return { data, error: isCurrent ? state.error : null, reload, setData };
}

/** Call `callback` every `intervalMs` milliseconds while the tab is visible. 0 disables it. */
export function useInterval(callback, intervalMs) {
  useEffect(() => {
    if (!intervalMs) return undefined;
    const timer = setInterval(() => document.hidden || callback(), intervalMs);
    return () => clearInterval(timer);
  }, [callback, intervalMs]);
}

/**
 * Load a list page by page and return {items, error, loadMore, reload}. `loadMore` is null on the
 * last page. Polling reloads the first page only.
 */
export function usePaginatedList(path, { intervalMs = 0 } = {}) {
  const first = useFetch(path, { intervalMs });
  const [state, setState] = useState({ path, items: [], cursor: undefined });
  const later = state.path === path ? state : { items: [], cursor: undefined };
  const cursor = later.cursor === undefined ? first.data?.next_cursor : later.cursor;
  const loadMore = async () => {
    const separator = path.includes("?") ? "&" : "?";
    const page = await get(`${path}${separator}cursor=${encodeURIComponent(cursor)}`);
    setState({ path, items: [...later.items, ...page.items], cursor: page.next_cursor });
  };
  const firstIds = new Set(first.data?.items.map((item) => item.id));
  const laterItems = later.items.filter((item) => !firstIds.has(item.id));
  return {
    items: first.data && [...first.data.items, ...laterItems],
    error: first.error,
    loadMore: cursor ? loadMore : null,
    reload: first.reload,
  };
}
