/** Models side by side: their metrics, and the differences from the first one. */
import { formatBytes, formatMilliseconds, formatPercent, isMissing } from "../lib/format.js";
import { resourceUrl } from "../lib/router.js";
import { HorizontalBarChart, seriesColor } from "../ui/charts.js";
import { DataTable, ExpandableList, Panel } from "../ui/components.js";
import { html } from "../vendor/preact.js";
import {
  findFile, formatChange, formatPoints, formatRatio, mainFile, METRICS, modelTitle,
} from "./model_metrics.js";

const VISIBLE_CLASSES = 30;

export function SideBySide({ models, classes }) {
  return html`<div class="stack">
    <${DifferenceTable} models=${models} />
    <div class="grid-3">
      <${MetricBarChart} title="Top-1" models=${models} format=${formatPercent} tickFormat=".0%"
        value=${(model) => model.numbers.top1} />
      <${MetricBarChart} title="Size" models=${models} format=${formatBytes} tickFormat="~s"
        value=${(model) => mainFile(model)?.size ?? null} />
      <${MetricBarChart} title="Latency" models=${models} format=${formatMilliseconds}
        tickFormat="~r" value=${(model) => model.numbers.latency_ms} />
    </div>
    ${classes.length > 0 && html`<${ClassDifferences} models=${models} classes=${classes} />`}
  </div>`;
}

function DifferenceTable({ models }) {
  const baseline = models[0];
  const isMeasured = ({ name }) => models.some((model) => !isMissing(model.numbers[name]));
  const metricRows = METRICS.filter(isMeasured).map((metric) => ({
    id: metric.name,
    label: metric.label,
    cell: (model) => metricCell(metric, model, baseline),
  }));
  const formats = new Set(models.flatMap((model) => model.files.map((file) => file.format)));
  const fileRows = [...formats].map((format) => ({
    id: `file ${format}`,
    label: `Size, ${format}`,
    cell: (model) => fileSizeCell(format, model, baseline),
  }));
  const rows = [
    { id: "architecture", label: "Architecture", cell: (model) => model.architecture },
    ...metricRows,
    ...fileRows,
    {
      id: "teacher",
      label: "Parameters vs. the teacher",
      cell: ({ against_teacher: ratios }) =>
        formatRatio(ratios?.parameters, 1, "fewer", "more") ?? "no teacher",
    },
  ];
  const modelColumns = models.map((model) => [
    html`<a href=${resourceUrl("model", model.id)}>${modelTitle(model)}</a>`,
    (row) => row.cell(model),
    "number",
  ]);
  const note = html`<span class="small muted">relative to ${modelTitle(baseline)}</span>`;
  return html`<${Panel} title="Differences" headerActions=${note} flush>
    <${DataTable} label="Models side by side" rows=${rows}
      columns=${[["Metric", (row) => row.label], ...modelColumns]} />
  </${Panel}>`;
}

function metricCell(metric, model, baseline) {
  const value = model.numbers[metric.name];
  const base = baseline.numbers[metric.name];
  const isShown = model !== baseline && !isMissing(value) && !isMissing(base);
  return html`${metric.format(value)}
    <span class="cell-sub">${isShown && formatChange(metric, value, base)}</span>`;
}

function fileSizeCell(format, model, baseline) {
  const size = findFile(model, format)?.size;
  const baseSize = findFile(baseline, format)?.size;
  const ratio = model === baseline ? "" : formatRatio(size, baseSize, "smaller", "larger");
  return html`${formatBytes(size)}<span class="cell-sub">${ratio}</span>`;
}

const MetricBarChart = ({ title, models, value, format, tickFormat }) => html`
  <${HorizontalBarChart} title=${title} names=${models.map(modelTitle)}
    values=${models.map(value)} format=${format} tickFormat=${tickFormat}
    colors=${() => models.map((_, index) => seriesColor(index))} />`;

/** Accuracy by class. The classes in which the models differ most come first. */
function ClassDifferences({ models, classes }) {
  const isPresent = (value) => !isMissing(value);
  const spread = ({ top1 }) => {
    const values = top1.filter(isPresent);
    return Math.max(...values) - Math.min(...values);
  };
  const rows = classes
    .filter(({ top1 }) => top1.some(isPresent))
    .map((row) => ({ ...row, id: row.name }))
    .sort((a, b) => spread(b) - spread(a));
  const modelColumns = models.map((model, index) => [
    modelTitle(model),
    (row) => html`${formatPercent(row.top1[index], 1)}
      <span class="cell-sub">${index ? formatPoints(row.difference[index]) : ""}</span>`,
    "number",
  ]);
  const columns = [
    ["Class", (row) => html`<span class="cell-main">${row.name}</span>`], ...modelColumns,
  ];
  const note = html`<span class="small muted">largest difference first</span>`;
  return html`<${Panel} title="By class" headerActions=${note} flush>
    <${ExpandableList} items=${rows} limit=${VISIBLE_CLASSES} noun="classes">${(visible) =>
      html`<${DataTable} label="Accuracy by class" rows=${visible} columns=${columns} />`
    }</${ExpandableList}>
  </${Panel}>`;
}
