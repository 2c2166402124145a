/** The audit log: who changed what, when, and from where. */
import { queryString } from "../lib/api.js";
import { formatDateTime } from "../lib/format.js";
import { usePaginatedList } from "../lib/hooks.js";
import { resourceUrl, updateQuery } from "../lib/router.js";
import {
  AsyncContent, DataTable, EmptyState, LoadMoreButton, PageHeader, Panel,
} from "../ui/components.js";
import { FormField } from "../ui/form_fields.js";
import { html } from "../vendor/preact.js";

const MAX_ID_LENGTH = 20;
const MAX_VALUE_LENGTH = 24;

/** Filters: query parameter, label, example. */
const FILTERS = [
  ["action", "Action", "job.running"],
  ["actor", "Actor", "key_…"],
  ["subject", "Subject", "job_…, model_…"],
  ["owner", "Owner", "team-vision"],
  ["request_id", "Request ID", "req_…"],
];
const TIME_FILTERS = [["after", "After"], ["before", "Before"]];

export function Page({ query }) {
  const filters = Object.fromEntries(FILTERS.map(([name]) => [name, query[name]?.trim()]));
  const [after, before] = [toIsoTime(query.after), toIsoTime(query.before)];
  const entries = usePaginatedList(
    `/v1/audit${queryString({ limit: 50, ...filters, after, before })}`,
  );
  const filtered = Object.values(query).some(Boolean);
  const renderField = (name, label, props) => html`<${FormField} key=${name} id=${`filter-${name}`}
    label=${label} value=${query[name] ?? ""} onChange=${(value) => updateQuery({ [name]: value })}
    ...${props} />`;
  return html`
    <${PageHeader} title="Audit log"
      about="All changes by API keys, signed-in users, workers and the service, newest first.">
      <button class="button" onClick=${entries.reload}>Refresh</button>
    </${PageHeader}>
    <div class="filters" role="search">
      ${FILTERS.map(([name, label, placeholder]) =>
        renderField(name, label, { type: "search", placeholder }))}
      ${TIME_FILTERS.map(([name, label]) => renderField(name, label, { type: "datetime-local" }))}
    </div>
    <${AsyncContent} query=${entries}>${(items) => html`<${Panel} flush label=${null}>
      ${items.length
        ? html`<${AuditTable} entries=${items} />`
        : html`<${NoEntries} filtered=${filtered} />`}
    </${Panel}>`}</${AsyncContent}>
    <${LoadMoreButton} query=${entries}>Show older entries</${LoadMoreButton}>`;
}

/** Convert the local time of a date and time input to UTC, or return "". */
function toIsoTime(text) {
  const time = new Date(text ?? "");
  return Number.isNaN(time.getTime()) ? "" : time.toISOString();
}

function NoEntries({ filtered }) {
  if (!filtered) {
    return html`<${EmptyState} title="No entries yet">Every change adds an entry.</${EmptyState}>`;
  }
  const reset = html`<a class="button" href="#/audit">Show all entries</a>`;
  return html`<${EmptyState} title="No matching entries" action=${reset}>
    Filters must match exactly: an action such as job.running, or the ID of an actor or a subject.
  </${EmptyState}>`;
}

const AuditTable = ({ entries }) => html`<${DataTable} label="Audit log" rows=${entries} columns=${[
  ["Time", ({ at }) => html`<time datetime=${at} title=${at} class="nowrap">
    ${formatDateTime(at)}
  </time>`],
  ["Action", ({ action }) => html`<button class="button plain tiny mono"
    title="Show only this action" onClick=${() => updateQuery({ action })}>${action}</button>`],
  ["Actor", renderActor],
  ["Subject", ({ subject }) => renderSubject(subject)],
  ["Details", (entry) => html`<${EntryDetails} entry=${entry} />`],
]} />`;

const shortId = (id) =>
  id.length > MAX_ID_LENGTH ? `${id.split("_")[0]} …${id.slice(-6)}` : id;

const renderActor = ({ actor, role, address }) => html`
  <button class="button plain tiny mono" title="${actor}: show only this actor"
    onClick=${() => updateQuery({ actor })}>${shortId(actor)}</button>
  <span class="cell-sub">${[role, address].filter(Boolean).join(" from ")}</span>`;

function renderSubject(id) {
  const url = resourceUrl(id.split("_")[0], id);
  return url
    ? html`<a class="mono" href=${url} title=${id}>${shortId(id)}</a>`
    : html`<span class="mono" title=${id}>${shortId(id)}</span>`;
}

function EntryDetails({ entry: { data, request_id, owner } }) {
  const facts = Object.entries(data).filter(([, value]) => value !== null);
  const summary = facts.slice(0, 2).map(([name, value]) => `${name}: ${truncate(value)}`);
  return html`<details class="small">
    <summary>${summary.join(", ") || "Details"}</summary>
    <pre class="code" tabindex="0">
      ${JSON.stringify({ ...data, request_id, owner }, null, 2)}
    </pre>
  </details>`;
}

function truncate(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH - 1)}…` : text;
}
