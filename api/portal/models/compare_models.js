/** Comparison: all models as points, and some of them side by side. */
import { get, queryString } from "../lib/api.js";
import { useFetch, usePaginatedList } from "../lib/hooks.js";
import { updateQuery } from "../lib/router.js";
import {
  AsyncContent, EmptyState, PageHeader, Panel, SegmentedControl,
} from "../ui/components.js";
import { UploadStatus } from "../ui/file_upload.js";
import { FormField } from "../ui/form_fields.js";
import { html, useEffect, useState } from "../vendor/preact.js";
import { CostScatter } from "./cost_scatter.js";
import { FileFormat, mainFile, MAX_COMPARED, modelTitle } from "./model_metrics.js";
import { SideBySide } from "./side_by_side.js";

const MAX_POINTS = 2000;
const MAIN_FILES = "main"; // values of the filter for files, besides the formats
const ALL_FILES = "all";

export function Page({ query }) {
  const selected = (query.ids ?? "").split(",").filter(Boolean);
  const select = (ids) => updateQuery({ ids: ids.join(",") });
  const models = useAllPages(`/v1/models${queryString({ limit: 200, dataset: query.dataset })}`);
  return html`
    <${PageHeader} title="Compare"
      about=${`All models in two charts, and up to ${MAX_COMPARED} of them side by side.`} />
    <${AsyncContent} query=${models}>${(items) => html`<div class="stack">
      <${CompareFilters} query=${query} models=${items} />
      ${items.length
        ? html`<${CostScatters} query=${query} models=${items} selected=${selected} />`
        : html`<${Panel} label="Models"><${NoModels} filtered=${query.dataset} /></${Panel}>`}
      ${items.length > 0 && html`<${ModelPicker} models=${items} selected=${selected}
        onSelect=${select} />`}
      <${ComparisonSection} selected=${selected} />
    </div>`}</${AsyncContent}>`;
}

const NoModels = ({ filtered }) =>
  filtered
    ? html`<${EmptyState} title="No models trained on this dataset"
        action=${html`<a class="button" href="#/compare">Show models for all datasets</a>`}>
        Accuracies are comparable only on the same images. Select another dataset above.
      </${EmptyState}>`
    : html`<${EmptyState} title="Nothing to compare yet"
        action=${html`<a class="button" href="#/jobs">Go to jobs</a>`}>
        Every job that succeeds adds a model, and every model appears here as a point.
      </${EmptyState}>`;

/** Load all pages of a list, up to MAX_POINTS items, so that no point is missing. */
function useAllPages(path) {
  const [state, setState] = useState({ items: null, error: null });
  const load = async () => {
    try {
      const items = [];
      let cursor = null;
      do {
        const suffix = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
        const page = await get(`${path}${suffix}`);
        items.push(...page.items);
        cursor = page.next_cursor;
      } while (cursor && items.length < MAX_POINTS);
      setState({ items, error: null });
    } catch (error) {
      setState((old) => ({ ...old, error }));
    }
  };
  useEffect(() => void load(), [path]);
  return { ...state, reload: load };
}

const isNotBundle = (file) => file.format !== FileFormat.BUNDLE;

function CompareFilters({ query, models }) {
  const list = usePaginatedList("/v1/datasets?limit=200");
  const ready = (list.items ?? []).filter((dataset) => dataset.status === UploadStatus.READY);
  const datasets = ready.map((dataset) => [dataset.id, dataset.name || dataset.id]);
  const files = models.flatMap((model) => model.files.filter(isNotBundle));
  const formats = [...new Set(files.map((file) => file.format))].sort();
  const fileOptions = [
    [MAIN_FILES, "The float32 file of each model"],
    [ALL_FILES, "Every file of each model"],
    ...formats.map((format) => [format, `The ${format} files`]),
  ];
  const sizeOptions = [["", "Bytes"], ["parameters", "Parameters"]];
  return html`<div class="filters">
    <${FormField} id="filter-dataset" label="Trained on" value=${query.dataset ?? ""}
      options=${[["", "Any dataset"], ...datasets]}
      onChange=${(dataset) => updateQuery({ dataset })} />
    <${FormField} id="filter-format" label="Points" value=${query.format ?? MAIN_FILES}
      options=${fileOptions}
      onChange=${(format) => updateQuery({ format: format === MAIN_FILES ? "" : format })} />
    <div class="field">
      <span class="label">Size in</span>
      <${SegmentedControl} label="Size in" options=${sizeOptions} value=${query.size ?? ""}
        onSelect=${(size) => updateQuery({ size })} />
    </div>
    ${!query.dataset && datasets.length > 1 && html`<p class="small muted">
      Accuracies on different datasets are not comparable. Select one dataset.
    </p>`}
  </div>`;
}

function CostScatters({ query, models, selected }) {
  const filter = query.format ?? MAIN_FILES;
  const isShown = (file) => isNotBundle(file) && (filter === ALL_FILES || file.format === filter);
  const listFiles = (model) =>
    filter === MAIN_FILES ? [mainFile(model)] : model.files.filter(isShown);
  const entries = models.flatMap((model) => listFiles(model).map((file) => ({ model, file })));
  const size = query.size === "parameters" ? "parameters" : "size";
  return html`<div class="grid-2">
    <${CostScatter} entries=${entries} cost=${size} selected=${selected} />
    <${CostScatter} entries=${entries} cost="latency" selected=${selected} />
  </div>`;
}

/** The selected models as tags, and a select to add others. */
function ModelPicker({ models, selected, onSelect }) {
  const titles = new Map(models.map((model) => [model.id, modelTitle(model)]));
  const titleOf = (id) => titles.get(id) ?? id;
  const isFull = selected.length >= MAX_COMPARED;
  const others = models.filter((model) => !selected.includes(model.id));
  const options = [
    ["", isFull ? `At most ${MAX_COMPARED} models` : "Select…"],
    ...others.map((model) => [model.id, `${modelTitle(model)} · ${model.architecture}`]),
  ];
  const tags = selected.map((id) => html`<li key=${id}>
    <span class="tag">${titleOf(id)}</span>
    <button type="button" class="button plain tiny" aria-label=${`Remove ${titleOf(id)}`}
      onClick=${() => onSelect(selected.filter((other) => other !== id))}>×</button>
  </li>`);
  return html`<${Panel} title="Side by side"><div class="stack">
    ${tags.length > 0 && html`<ul class="chips">${tags}</ul>`}
    <${FormField} id="add-model" label="Add a model" value="" options=${options}
      disabled=${isFull} onChange=${(id) => id && onSelect([...selected, id])} />
    ${selected.length < 2 && html`<p class="muted">
      Select at least ${selected.length ? "one more model" : "two models"}. The first one is the
      baseline for the others.
    </p>`}
  </div></${Panel}>`;
}

function ComparisonSection({ selected }) {
  const hasEnough = selected.length > 1;
  const ids = selected.map(encodeURIComponent).join(",");
  const comparison = useFetch(hasEnough ? `/v1/models/compare?ids=${ids}` : null);
  if (!hasEnough) return null;
  return html`<${AsyncContent} query=${comparison}>${({ models, classes }) =>
    html`<${SideBySide} models=${models} classes=${classes} />`
  }</${AsyncContent}>`;
}
