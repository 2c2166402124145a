/** The model list: filters, selection for a comparison, and import of bundles. */
import { queryString } from "../lib/api.js";
import { formatBytes, formatCount, formatMilliseconds, MISSING_TEXT } from "../lib/format.js";
import { usePaginatedList } from "../lib/hooks.js";
import { resourceUrl, updateQuery } from "../lib/router.js";
import { Role, session } from "../lib/session.js";
import {
  AsyncContent, DataTable, EmptyState, LoadMoreButton, PageHeader, Panel, RelativeTime, Tag,
} from "../ui/components.js";
import { SearchInput } from "../ui/form_fields.js";
import { html, useState } from "../vendor/preact.js";
import { ImportBundleDialog } from "./bundle_import.js";
import { formatAccuracy, mainFile, MAX_COMPARED, modelTitle } from "./model_metrics.js";

/** Filters: query parameter, label, placeholder. */
const FILTERS = [
  ["search", "Name contains", "Name"],
  ["tag", "Tag", "Tag"],
  ["architecture", "Architecture", "Architecture, e.g. resnet8"],
  ["dataset", "Dataset ID", "Dataset ID"],
];

export function Page({ query }) {
  const [selected, setSelected] = useState([]);
  const [importing, setImporting] = useState(false);
  const filters = Object.fromEntries(FILTERS.map(([name]) => [name, query[name]?.trim()]));
  const { name, teacher } = query;
  const search = queryString({ limit: 50, name, teacher, ...filters });
  const models = usePaginatedList(`/v1/models${search}`, { intervalMs: 15000 });
  const filtered = Object.keys(query).length > 0;
  const inputs = FILTERS.map(([parameter, label, placeholder]) => html`<${SearchInput}
    key=${parameter} label=${label} placeholder=${placeholder} value=${query[parameter]}
    onChange=${(value) => updateQuery({ [parameter]: value })} />`);
  return html`
    <${PageHeader} title="Models"
      about="Students distilled here or imported as bundles, versioned under a name.">
      ${session.hasRole(Role.SUBMITTER) && html`<button type="button" class="button"
        onClick=${() => setImporting(true)}>Import bundle</button>`}
      <a class="button ${selected.length > 1 ? "primary" : ""}"
        href=${`#/compare${queryString({ ids: selected.join(",") })}`}>
        ${selected.length ? `Compare ${selected.length}` : "Compare"}
      </a>
    </${PageHeader}>
    <div class="filters" role="search">${inputs}</div>
    <${AsyncContent} query=${models}>${(items) => html`<${Panel} flush label=${null}>
      ${items.length
        ? html`<${ModelTable} models=${items} selected=${selected} onSelect=${setSelected} />`
        : html`<${NoModels} filtered=${filtered} />`}
    </${Panel}>`}</${AsyncContent}>
    <${LoadMoreButton} query=${models}>Show older models</${LoadMoreButton}>
    ${importing && html`<${ImportBundleDialog} onClose=${() => setImporting(false)} />`}`;
}

function NoModels({ filtered }) {
  if (filtered) {
    const reset = html`<a class="button" href="#/models">Show all models</a>`;
    return html`<${EmptyState} title="No matching models" action=${reset}>
      Tags, architectures and dataset IDs must match exactly. You can enter just part of a name.
    </${EmptyState}>`;
  }
  const action =
    session.hasRole(Role.SUBMITTER) && html`<a class="button primary" href="#/new">New job</a>`;
  return html`<${EmptyState} title="No models yet" action=${action}>
    Every job that succeeds adds a model with its files, measurements and lineage.
  </${EmptyState}>`;
}

function ModelTable({ models, selected, onSelect }) {
  const toggle = (id) =>
    onSelect(selected.includes(id) ? selected.filter((other) => other !== id) : [...selected, id]);
  const renderCheckbox = (model) => {
    const checked = selected.includes(model.id);
    return html`<input type="checkbox" class="row-checkbox" checked=${checked}
      aria-label=${`Compare ${modelTitle(model)}`} onChange=${() => toggle(model.id)}
      disabled=${selected.length >= MAX_COMPARED && !checked} />`;
  };
  return html`<${DataTable} cards label="Models" rows=${models} columns=${[
    [html`<span class="visually-hidden">Compare</span>`, renderCheckbox, "select-cell"],
    ["Name", renderName, "main"],
    ["Accuracy", (model) => formatAccuracy(model.metrics.student), "number"],
    ["Teacher", formatTeacherAccuracy, "number"],
    ["Architecture", (model) => html`${model.architecture}
      <span class="cell-sub">${formatCount(model.parameters)} parameters</span>`],
    ["Size", (model) => formatBytes(mainFile(model)?.size), "number"],
    ["Latency", (model) => formatMilliseconds(mainFile(model)?.latency_ms), "number"],
    ["Created", (model) => html`<${RelativeTime} time=${model.created_at} />`, "number"],
  ]} />`;
}

const formatTeacherAccuracy = ({ metrics }) =>
  metrics.teacher ? formatAccuracy(metrics.teacher) : MISSING_TEXT;

function renderName(model) {
  const aliases = model.aliases.map((alias) => html`<span class="tag alias">@${alias}</span> `);
  const tags = model.tags.map((tag) => html`<${Tag}>${tag}</${Tag}> `);
  return html`<a class="cell-main" href=${resourceUrl("model", model.id)}>
      ${model.name} <span class="muted">${model.version}</span>
    </a>
    <span class="cell-sub">${aliases}${tags}${model.origin === "imported" && "imported"}</span>`;
}
