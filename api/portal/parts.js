/** What pages are made of. Each part says its state in words, too: colour alone tells nobody anything. */
import { day, ago } from "./format.js";
import { html, useEffect, useRef, useState } from "./vendor/preact.js";

const TONES = {
  succeeded: "good", ready: "good", delivered: "good", active: "good", alive: "good",
  failed: "bad", invalid: "bad", expired: "bad", revoked: "bad", gone: "bad",
  running: "live", starting: "live", exporting: "live", validating: "live", cancelling: "live", pausing: "live",
  paused: "warn", draining: "warn",
};

export const Status = ({ of }) => html`<span class="chip ${TONES[of] ?? ""}">${of}</span>`;

export const Tag = ({ children }) => html`<span class="tag">${children}</span>`;

/** A moment: how long ago, and exactly when on hovering. */
export const When = ({ at }) => (at ? html`<time datetime=${at} title=${day(at)} class="nowrap">${ago(at)}</time>` : "–");

export const Bar = ({ share, label, tone = "" }) => html`<div
  class="bar ${tone}" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(100 * share)}>
  <span style=${{ width: `${100 * Math.min(1, Math.max(0, share))}%` }}></span>
</div>`;

/** A page's head: where one is, what it is called, what can be done. `title` takes the focus when the page has changed. */
export function Head({ title, crumbs = [], about, children }) {
  const heading = useRef();
  useEffect(() => heading.current.focus(), []);
  useEffect(() => {
    document.title = `${typeof title === "string" ? title : "Portal"} · Distillation`;
  }, [title]);
  return html`<header class="page-head">
    <div class="title">
      ${crumbs.length > 0 && html`<nav class="crumbs" aria-label="Above this page">${crumbs.map(([name, href]) => html`<a href=${href}>${name}</a><span aria-hidden="true">/</span>`)}</nav>`}
      <h1 tabindex="-1" ref=${heading}>${title}</h1>
      ${about && html`<p>${about}</p>`}
    </div>
    <div class="actions">${children}</div>
  </header>`;
}

export const Panel = ({ title, aside, children, flush = false, label }) => html`<section class="panel" aria-label=${label === null ? undefined : (label ?? title)}>
  ${title && html`<header><h2>${title}</h2>${aside}</header>`}
  ${flush ? children : html`<div class="body">${children}</div>`}
</section>`;

/** Nothing here yet, and what to do about it. */
export const Empty = ({ title, children, action }) => html`<div class="empty"><h2>${title}</h2><p>${children}</p>${action}</div>`;

/** What the service refused, in its own words, and what to do. */
export const Refusal = ({ problem, retry }) =>
  problem &&
  html`<div class="notice bad" role="alert"><div>
    <strong>${problem.message}</strong>
    ${problem.hint && html`<p>${problem.hint}</p>`}
    <p class="small quiet">${problem.code}${problem.request && ` · request ${problem.request}`}</p>
    ${retry && html`<button class="button tiny" onClick=${retry}>Try again</button>`}
  </div></div>`;

/**
 * What was asked for, or that it is on its way, or why it cannot be had. `children` is a function of the data. All of it stands in one
 * element: what takes the place of something else in a page's root may end up elsewhere.
 */
export function Loaded({ from, children }) {
  const found = from.data ?? from.items;
  const refusal = from.problem && html`<${Refusal} problem=${from.problem} retry=${from.reload} />`;
  if (found) return html`<div class="loaded">${refusal}${children(found)}</div>`;
  return html`<div class="loaded">${refusal ?? html`<div class="stack" role="status" aria-label="Loading">${[60, 85, 70].map((width) => html`<div class="skeleton" style=${{ width: `${width}%` }}></div>`)}</div>`}</div>`;
}

/**
 * A table. `columns` are [heading, cell(row), class]; each row has an id. With `cards`, each row is a card on a phone: the cell of the class
 * main is its title, one of the class tick stands in its corner, headings label the others. Roles are said: other displays take them away.
 */
export const Rows = ({ columns, rows, label, cards = false }) => html`<div class="table-box ${cards ? "cards" : ""}" role="region" aria-label=${label} tabindex="0"><table class="rows" role="table">
  <thead role="rowgroup"><tr role="row">${columns.map(([name, , kind = ""]) => html`<th scope="col" role="columnheader" class=${kind}>${name}</th>`)}</tr></thead>
  <tbody role="rowgroup">${rows.map((row) => html`<tr key=${row.id} role="row">${columns.map(([name, cell, kind = ""]) => html`<td role="cell" class=${kind} data-label=${typeof name === "string" ? name : undefined}>${cell(row)}</td>`)}</tr>`)}</tbody>
</table></div>`;

/** The rest of a list that grows. Its place is there before the button is. */
export const More = ({ of, children }) => html`<div class="after">${of.more && html`<button type="button" class="button" onClick=${of.more}>${children}</button>`}</div>`;

export const Facts = ({ of, wide = false }) => html`<dl class="facts ${wide ? "wide" : ""}">${of.map(([name, value]) => html`<dt>${name}</dt><dd>${value ?? "–"}</dd>`)}</dl>`;

export const Tiles = ({ of }) => html`<dl class="tiles">${of.map(([name, value, note]) => html`<div class="tile"><dt>${name}</dt><dd>${value}${note && html`<small>${note}</small>`}</dd></div>`)}</dl>`;

/** One of several, as buttons in a row. `options` are [value, words]. */
export const Segments = ({ options, value, pick, label }) => html`<div class="segments" role="group" aria-label=${label}>
  ${options.map(([name, words]) => html`<button type="button" aria-pressed=${String(name === value)} onClick=${() => pick(name)}>${words}</button>`)}
</div>`;

/** Tabs by arrow keys and clicks. `tabs` are [name, words]; the panel is the child. */
export function Tabs({ tabs, value, pick, label, children }) {
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = tabs.findIndex(([name]) => name === value);
    const next = tabs[(at + step + tabs.length) % tabs.length][0];
    pick(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return html`<div class="stack">
    <div class="tabs" role="tablist" aria-label=${label} onKeyDown=${move}>
      ${tabs.map(([name, words]) => html`<button type="button" role="tab" id=${`tab-${name}`} aria-selected=${String(name === value)} aria-controls="tab-panel" tabindex=${name === value ? 0 : -1} onClick=${() => pick(name)}>${words}</button>`)}
    </div>
    <div role="tabpanel" id="tab-panel" aria-labelledby=${`tab-${value}`}>${children}</div>
  </div>`;
}

/** A button that works: disabled while it does, and a refusal is told by `fail`. */
export function Doing({ does, children, kind = "", fail, disabled = false, type = "button" }) {
  const [busy, set] = useState(false);
  const click = async () => {
    set(true);
    try {
      await does();
    } catch (problem) {
      fail ? fail(problem) : toast(problem.message, problem.hint, "bad");
    } finally {
      set(false);
    }
  };
  return html`<button type=${type} class="button ${kind}" disabled=${busy || disabled} aria-busy=${String(busy)} onClick=${click}>${children}</button>`;
}

/** A question over the page; the browser keeps the focus in it, and Escape closes it. */
export function Dialog({ title, children, close }) {
  const box = useRef();
  useEffect(() => {
    box.current.showModal();
  }, []);
  return html`<dialog class="dialog" ref=${box} aria-labelledby="dialog-title" onClose=${close}>
    <h2 id="dialog-title">${title}</h2>${children}
  </dialog>`;
}

/** Copies a text, and says so. */
export function Copy({ text, children = text }) {
  const copy = () => navigator.clipboard.writeText(text).then(() => toast("Copied"), () => toast("The browser did not let me copy", "", "bad"));
  return html`<button type="button" class="button plain tiny mono" title="Copy ${text}" aria-label="Copy ${text}" onClick=${copy}>${children}</button>`;
}

let tellToasts = () => {};

/** Says something at the page's corner for some seconds; screen readers hear it. */
export function toast(title, text = "", tone = "good") {
  tellToasts({ id: crypto.randomUUID?.() ?? String(Math.random()), title, text, tone });
}

export function Toasts() {
  const [shown, set] = useState([]);
  useEffect(() => {
    tellToasts = (one) => {
      set((old) => [...old.slice(-2), one]);
      setTimeout(() => set((old) => old.filter((other) => other.id !== one.id)), 6000);
    };
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${shown.map((one) => html`<div key=${one.id} class="notice ${one.tone}"><div><strong>${one.title}</strong>${one.text && html`<p>${one.text}</p>`}</div></div>`)}
  </div>`;
}
