/** Models side by side: what each is worth, and by how much it differs from the first. */
import { Chart, shade } from "./charts.js";
import { bytes, milliseconds, percent } from "./format.js";
import { against, changed, MEASURES, points, titleOf } from "./model_facts.js";
import { Panel, Rows } from "./parts.js";
import { html, useState } from "./vendor/preact.js";

const FIRST = 30;
const has = (value) => value !== null && value !== undefined;

export function Comparison({ comparison: { models, classes } }) {
  const first = models[0];
  const rows = MEASURES.filter(([name]) => models.some((model) => has(model.numbers[name]))).map((row) => ({ id: row[0], name: row[1], cell: (model) => cell(row, model, first) }));
  const formats = [...new Set(models.flatMap((model) => model.files.map((file) => file.format)))];
  const files = formats.map((format) => ({ id: `file ${format}`, name: `Size, ${format}`, cell: (model) => fileCell(format, model, first) }));
  const taught = { id: "teacher", name: "Parameters against its teacher", cell: (model) => against(model.against_teacher?.parameters, 1, "fewer", "more") ?? "no teacher" };
  const columns = [["", (row) => row.name], ...models.map((model) => [html`<a href=${`#/models/${model.id}`}>${titleOf(model)}</a>`, (row) => row.cell(model), "number"])];
  return html`<div class="stack" data-part="comparison">
    <${Panel} title="Differences" aside=${html`<span class="small quiet">against ${titleOf(first)}</span>`} flush><${Rows} label="Models side by side" rows=${[{ id: "architecture", name: "Architecture", cell: (model) => model.architecture }, ...rows, ...files, taught]} columns=${columns} /></${Panel}>
    <div class="grid-3">
      <${Bars} title="Top-1" models=${models} value=${(model) => model.numbers.top1} words=${percent} format=".0%" />
      <${Bars} title="Size" models=${models} value=${(model) => sizeOf(model)} words=${bytes} format="~s" />
      <${Bars} title="Latency" models=${models} value=${(model) => model.numbers.latency_ms} words=${milliseconds} format="~r" />
    </div>
    ${classes.length > 0 && html`<${Classes} models=${models} classes=${classes} />`}
  </div>`;
}

const sizeOf = (model) => (model.files.find((file) => file.format === "onnx") ?? model.files.find((file) => file.format === "safetensors") ?? model.files[0])?.size ?? null;

function cell(measure, model, first) {
  const [name, , words] = measure;
  const told = model === first ? "" : changed(measure, model.numbers[name], first.numbers[name]);
  return html`${words(model.numbers[name])}<span class="cell-sub">${told === "–" ? "" : told}</span>`;
}

function fileCell(format, model, first) {
  const file = model.files.find((one) => one.format === format);
  const base = first.files.find((one) => one.format === format);
  return html`${bytes(file?.size)}<span class="cell-sub">${model === first ? "" : against(file?.size, base?.size, "smaller", "larger")}</span>`;
}

function Bars({ title, models, value, words, format }) {
  const values = models.map(value);
  const names = models.map(titleOf);
  const traces = () => [{ type: "bar", orientation: "h", x: values, y: names, text: values.map((one) => words(one)), hovertemplate: "%{y}: %{text}<extra></extra>", textposition: "auto", marker: { color: names.map((_, place) => shade(place)) } }];
  const layout = { showlegend: false, hovermode: "closest", margin: { l: 12, r: 16, t: 6, b: 28 }, yaxis: { autorange: "reversed", type: "category" }, xaxis: { tickformat: format, rangemode: "tozero", nticks: 4 } };
  return html`<section class="panel chart-panel" aria-label=${title}><header><h2>${title}</h2></header><div class="body"><${Chart} traces=${traces} layout=${layout} summary=${`${title}: ${names.map((name, place) => `${name} ${words(values[place])}`).join(", ")}`} /></div></section>`;
}

/** Classes in which the models differ most come first. */
function Classes({ models, classes }) {
  const [all, show] = useState(false);
  const spread = ({ top1 }) => Math.max(...top1.filter(has)) - Math.min(...top1.filter(has));
  const rows = classes.filter((row) => row.top1.some(has)).map((row) => ({ ...row, id: row.name })).sort((a, b) => spread(b) - spread(a));
  const columns = [["Class", (row) => html`<span class="cell-main">${row.name}</span>`], ...models.map((model, place) => [titleOf(model), (row) => html`${percent(row.top1[place], 1)}<span class="cell-sub">${place ? points(row.difference[place]) : ""}</span>`, "number"])];
  return html`<${Panel} title="By class" aside=${html`<span class="small quiet">greatest difference first</span>`} flush><${Rows} label="Accuracy by class" rows=${all ? rows : rows.slice(0, FIRST)} columns=${columns} />
    ${rows.length > FIRST && !all && html`<p class="panel-note"><button class="button tiny" onClick=${() => show(true)}>Show all ${rows.length} classes</button></p>`}</${Panel}>`;
}
