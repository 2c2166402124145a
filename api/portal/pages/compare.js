/** Comparing: all models as points, some of them side by side. */
import { get, query as search } from "../api.js";
import { Comparison } from "../comparison.js";
import { useGet, useList } from "../fetched.js";
import { mainFile, titleOf } from "../model_facts.js";
import { Empty, Head, Loaded, Panel, Segments } from "../parts.js";
import { Field } from "../question.js";
import { refine } from "../router.js";
import { Scatter } from "../scatter.js";
import { html, useEffect, useState } from "../vendor/preact.js";

const MOST = 20;
const MOST_POINTS = 2000;
const MAIN = "main";

export function Page({ query }) {
  const picked = (query.ids ?? "").split(",").filter(Boolean);
  const pick = (ids) => refine({ ids: ids.join(",") });
  const models = useAll(`/v1/models${search({ limit: 200, dataset: query.dataset })}`);
  return html`
    <${Head} title="Compare" about="Every model as a point, and up to twenty of them side by side." />
    <${Loaded} from=${models}>${(items) => html`<div class="stack">
      <${Filters} query=${query} models=${items} />
      ${items.length ? html`<${Clouds} query=${query} models=${items} picked=${picked} />` : html`<${Panel} label="Models"><${Nothing} filtered=${query.dataset} /></${Panel}>`}
      ${items.length > 0 && html`<${Picker} models=${items} picked=${picked} pick=${pick} />`}
      <${Beside} picked=${picked} />
    </div>`}</${Loaded}>`;
}

const Nothing = ({ filtered }) =>
  filtered
    ? html`<${Empty} title="No model of this data set" action=${html`<a class="button" href="#/compare">Models of all data sets</a>`}>Accuracies are worth comparing on the same images alone; choose another data set above.</${Empty}>`
    : html`<${Empty} title="Nothing to compare yet" action=${html`<a class="button" href="#/jobs">To the jobs</a>`}>Every job that succeeds leaves a model, and every model is a point here.</${Empty}>`;

/** All pages of a list, so that no point is missing; up to some thousands. */
function useAll(path) {
  const [state, set] = useState({ items: null, problem: null });
  const load = async () => {
    try {
      const items = [];
      let cursor = null;
      do {
        const page = await get(`${path}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
        items.push(...page.items);
        cursor = page.next_cursor;
      } while (cursor && items.length < MOST_POINTS);
      set({ items, problem: null });
    } catch (problem) {
      set((old) => ({ ...old, problem }));
    }
  };
  useEffect(() => void load(), [path]);
  return { ...state, reload: load };
}

function Filters({ query, models }) {
  const datasets = useList("/v1/datasets?limit=200");
  const formats = [...new Set(models.flatMap((model) => model.files.map((file) => file.format)))].filter((format) => format !== "bundle").sort();
  const names = (datasets.items ?? []).filter((one) => one.status === "ready").map((one) => [one.id, one.name || one.id]);
  const mixed = !query.dataset && names.length > 1;
  return html`<div class="filters">
    <${Field} id="of-dataset" words="Trained on" value=${query.dataset ?? ""} set=${(value) => refine({ dataset: value })} options=${[["", "Any data set"], ...names]} />
    <${Field} id="of-format" words="Points are" value=${query.format ?? MAIN} set=${(value) => refine({ format: value === MAIN ? "" : value })} options=${[[MAIN, "the float32 file of each model"], ["all", "every file of each model"], ...formats.map((format) => [format, `the ${format} files`])]} />
    <div class="field"><span class="label" id="by-size">Size in</span><${Segments} label="Size in" options=${[["", "Bytes"], ["parameters", "Parameters"]]} value=${query.size ?? ""} pick=${(value) => refine({ size: value })} /></div>
    ${mixed && html`<p class="small quiet">Accuracies of different data sets do not compare: choose one.</p>`}
  </div>`;
}

function Clouds({ query, models, picked }) {
  const wanted = query.format ?? MAIN;
  const filesOf = (model) => (wanted === MAIN ? [mainFile(model)] : model.files.filter((file) => file.format !== "bundle" && (wanted === "all" || file.format === wanted)));
  const entries = models.flatMap((model) => filesOf(model).map((file) => ({ model, file })));
  return html`<div class="grid-2"><${Scatter} entries=${entries} cost=${query.size === "parameters" ? "parameters" : "size"} picked=${picked} /><${Scatter} entries=${entries} cost="latency" picked=${picked} /></div>`;
}

/** Chips of those that were picked, and a box to add others. */
function Picker({ models, picked, pick }) {
  const names = new Map(models.map((model) => [model.id, titleOf(model)]));
  const others = models.filter((model) => !picked.includes(model.id));
  const add = (id) => id && pick([...picked, id]);
  return html`<${Panel} title="Side by side"><div class="stack">
    ${picked.length > 0 && html`<ul class="chips">${picked.map((id) => html`<li key=${id}><span class="tag">${names.get(id) ?? id}</span><button type="button" class="button plain tiny" aria-label=${`Take ${names.get(id) ?? id} out`} onClick=${() => pick(picked.filter((one) => one !== id))}>×</button></li>`)}</ul>`}
    <${Field} id="add" words="Add a model" value="" set=${add} disabled=${picked.length >= MOST} options=${[["", picked.length >= MOST ? "Twenty at most" : "Choose …"], ...others.map((model) => [model.id, `${titleOf(model)} · ${model.architecture}`])]} />
    ${picked.length < 2 && html`<p class="quiet">Choose ${picked.length ? "one more" : "two"} at least. The first one is what the others are measured against.</p>`}
  </div></${Panel}>`;
}

function Beside({ picked }) {
  const found = useGet(picked.length > 1 ? `/v1/models/compare?ids=${picked.map(encodeURIComponent).join(",")}` : null);
  return picked.length > 1 && html`<${Loaded} from=${found}>${(comparison) => html`<${Comparison} comparison=${comparison} />`}</${Loaded}>`;
}
