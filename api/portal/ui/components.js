/** Shared components. Each conveys its meaning in text too, never by color alone. */
import { formatDateTime, formatInteger, formatTimeAgo, MISSING_TEXT } from "../lib/format.js";
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { toast } from "./toast.js";

const STATUS_TONES = {
  succeeded: "good", ready: "good", delivered: "good", active: "good", alive: "good",
  failed: "bad", invalid: "bad", expired: "bad", revoked: "bad", gone: "bad",
  running: "live", starting: "live", exporting: "live", validating: "live",
  cancelling: "live", pausing: "live",
  paused: "warn", draining: "warn",
};

export const statusTone = (status) => STATUS_TONES[status] ?? "";

/** A colored status. `label` replaces the status as text where users know it by another name. */
export const StatusBadge = ({ status, label = status }) =>
  html`<span class="chip ${statusTone(status)}">${label}</span>`;

export const Tag = ({ children }) => html`<span class="tag">${children}</span>`;

/** Tags separated by spaces, so that they wrap. */
export const TagList = ({ tags }) => tags.map((tag) => html`<${Tag}>${tag}</${Tag}> `);

/** The time elapsed since a moment. The tooltip has the exact time. */
export const RelativeTime = ({ time }) =>
  time
    ? html`<time datetime=${time} title=${formatDateTime(time)} class="nowrap">
        ${formatTimeAgo(time)}
      </time>`
    : MISSING_TEXT;

export function ProgressBar({ fraction, label, tone = "" }) {
  const width = `${100 * Math.min(1, Math.max(0, fraction))}%`;
  return html`<div class="bar ${tone}" role="progressbar" aria-label=${label} aria-valuemin="0"
    aria-valuemax="100" aria-valuenow=${Math.round(100 * fraction)}>
    <span style=${{ width }}></span>
  </div>`;
}

/**
 * The head of a page: breadcrumbs ([[name, href], …]), title, description, and actions as children.
 * The title takes the focus when the page changes, so that screen readers announce it.
 */
export function PageHeader({ title, breadcrumbs = [], about, children }) {
  const heading = useRef();
  useEffect(() => heading.current.focus(), []);
  useEffect(() => {
    document.title = `${typeof title === "string" ? title : "Portal"} · Distillation`;
  }, [title]);
  const links = breadcrumbs.map(
    ([name, href]) => html`<a href=${href}>${name}</a><span aria-hidden="true">/</span>`,
  );
  return html`<header class="page-head">
    <div class="title">
      ${links.length > 0 && html`<nav class="breadcrumbs" aria-label="Breadcrumbs">${links}</nav>`}
      <h1 tabindex="-1" ref=${heading}>${title}</h1>
      ${about && html`<p>${about}</p>`}
    </div>
    <div class="actions">${children}</div>
  </header>`;
}

/** A framed section. `flush` removes the padding; `label=null` lets the content name it. */
export function Panel({ title, headerActions, children, flush = false, label = title }) {
  return html`<section class="panel" aria-label=${label ?? undefined}>
    ${title && html`<header><h2>${title}</h2>${headerActions}</header>`}
    ${flush ? children : html`<div class="body">${children}</div>`}
  </section>`;
}

/** What to show where there is no data: a title, how to get some, and optionally an action. */
export const EmptyState = ({ title, children, action }) =>
  html`<div class="empty"><h2>${title}</h2><p>${children}</p>${action}</div>`;

/** Reasons to doubt a job or a model, as the service states them. */
export function Warnings({ texts }) {
  if (!texts?.length) return null;
  return html`<section class="notice warn" aria-label="Warnings"><div>
    <strong>${texts.length === 1 ? "Warning" : "Warnings"}</strong>
    ${texts.map((text) => html`<p>${text}</p>`)}
  </div></section>`;
}

/** An error of the service (ApiError or {message, hint, code}), with an optional retry button. */
export function ErrorNotice({ error, onRetry }) {
  if (!error) return null;
  return html`<div class="notice bad" role="alert"><div>
    <strong>${error.message}</strong>
    ${error.hint && html`<p>${error.hint}</p>`}
    <p class="small muted">
      ${error.code}${error.requestId && ` · request ${error.requestId}`}
    </p>
    ${onRetry && html`<button class="button tiny" onClick=${onRetry}>Try again</button>`}
  </div></div>`;
}

/**
 * The content of a `useFetch` or `usePaginatedList` query, a placeholder while it loads, or its
 * error. `children` is a function of the data. Everything is inside one element, because Preact may
 * misplace siblings that replace each other at the root of a page.
 */
export function AsyncContent({ query, children }) {
  const data = query.data ?? query.items;
  const notice =
    query.error && html`<${ErrorNotice} error=${query.error} onRetry=${query.reload} />`;
  if (data) return html`<div class="async-content">${notice}${children(data)}</div>`;
  return html`<div class="async-content">${notice ?? html`<${LoadingPlaceholder} />`}</div>`;
}

function LoadingPlaceholder() {
  const lines = [60, 85, 70].map(
    (percent) => html`<div class="skeleton" style=${{ width: `${percent}%` }}></div>`,
  );
  return html`<div class="stack" role="status" aria-label="Loading">${lines}</div>`;
}

/**
 * A table. `columns` are [heading, cell(row), class] and each row has an id. With `cards`, rows
 * become cards on a phone: the cell of class "main" is the title, "select-cell" sits in the corner,
 * and headings label the rest. Roles are explicit, because CSS that changes `display` removes them.
 */
export function DataTable({ columns, rows, label, cards = false }) {
  const headings = columns.map(
    ([name, , kind = ""]) =>
      html`<th scope="col" role="columnheader" class=${kind}>${name}</th>`,
  );
  const renderCell = (row) => ([name, cell, kind = ""]) => {
    const heading = typeof name === "string" ? name : undefined;
    return html`<td role="cell" class=${kind} data-label=${heading}>${cell(row)}</td>`;
  };
  const body = rows.map(
    (row) => html`<tr key=${row.id} role="row">${columns.map(renderCell(row))}</tr>`,
  );
  return html`<div class="table-box ${cards ? "cards" : ""}" role="region" aria-label=${label}
    tabindex="0">
    <table class="rows" role="table">
      <thead role="rowgroup"><tr role="row">${headings}</tr></thead>
      <tbody role="rowgroup">${body}</tbody>
    </table>
  </div>`;
}

/** Heading of a column of buttons, visible to screen readers only. */
export const ACTIONS_HEADING = html`<span class="visually-hidden">Actions</span>`;

/** The first `limit` items, rendered by `children(visibleItems)`, and a button that shows all. */
export function ExpandableList({ items, limit, noun, className = "panel-note", children }) {
  const [expanded, setExpanded] = useState(false);
  const visible = expanded ? items : items.slice(0, limit);
  const button = visible.length < items.length && html`<p class=${className}>
    <button class="button tiny" onClick=${() => setExpanded(true)}>
      Show all ${formatInteger(items.length)} ${noun}
    </button>
  </p>`;
  return html`${children(visible)}${button}`;
}

/** A button for the next page of a list. Its wrapper always exists, to keep siblings in place. */
export function LoadMoreButton({ query, children }) {
  const button =
    query.loadMore
    && html`<button type="button" class="button" onClick=${query.loadMore}>${children}</button>`;
  return html`<div class="load-more">${button}</div>`;
}

/** Facts as [[name, value], …]. */
export function DescriptionList({ items, wide = false }) {
  const rows = items.map(
    ([name, value]) => html`<dt>${name}</dt><dd>${value ?? MISSING_TEXT}</dd>`,
  );
  return html`<dl class="facts ${wide ? "wide" : ""}">${rows}</dl>`;
}

/** Key figures as [[name, value, note], …]. */
export function StatTiles({ items }) {
  const tiles = items.map(([name, value, note]) => html`<div class="tile">
    <dt>${name}</dt><dd>${value}${note && html`<small>${note}</small>`}</dd>
  </div>`);
  return html`<dl class="tiles">${tiles}</dl>`;
}

/** A choice of one option, as buttons in a row. `options` are [value, label]. */
export function SegmentedControl({ options, value, onSelect, label }) {
  const buttons = options.map(
    ([name, text]) => html`<button type="button" aria-pressed=${String(name === value)}
      onClick=${() => onSelect(name)}>${text}</button>`,
  );
  return html`<div class="segments" role="group" aria-label=${label}>${buttons}</div>`;
}

/** Tabs with keyboard navigation. `tabs` are [name, label]; the children are the open panel. */
export function Tabs({ tabs, value, onSelect, label, children }) {
  const moveFocus = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const index = tabs.findIndex(([name]) => name === value);
    const [next] = tabs[(index + step + tabs.length) % tabs.length];
    onSelect(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  const buttons = tabs.map(
    ([name, text]) => html`<button type="button" role="tab" id=${`tab-${name}`}
      aria-selected=${String(name === value)} aria-controls="tab-panel"
      tabindex=${name === value ? 0 : -1} onClick=${() => onSelect(name)}>${text}</button>`,
  );
  return html`<div class="stack">
    <div class="tabs" role="tablist" aria-label=${label} onKeyDown=${moveFocus}>${buttons}</div>
    <div role="tabpanel" id="tab-panel" aria-labelledby=${`tab-${value}`}>${children}</div>
  </div>`;
}

/**
 * A button for an asynchronous action: disabled while it runs. An error is passed to `onError`, or
 * shown as a toast.
 */
export function ActionButton(
  { onClick, children, kind = "", onError, disabled = false, type = "button" },
) {
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    try {
      await onClick();
    } catch (error) {
      if (onError) onError(error);
      else toast(error.message, error.hint, "bad");
    } finally {
      setBusy(false);
    }
  };
  return html`<button type=${type} class="button ${kind}" disabled=${busy || disabled}
    aria-busy=${String(busy)} onClick=${run}>${children}</button>`;
}

/** A button that copies `text` to the clipboard. */
export function CopyButton({ text, children = text }) {
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => toast("Copied to clipboard"),
      () => toast("The browser did not allow copying", "", "bad"),
    );
  return html`<button type="button" class="button plain tiny mono" title="Copy ${text}"
    aria-label="Copy ${text}" onClick=${copy}>${children}</button>`;
}
