/** Models as points: accuracy against a cost, with the Pareto front. */
import {
  formatBytes, formatCount, formatMilliseconds, formatPercent, isMissing, MISSING_TEXT,
} from "../lib/format.js";
import { navigate, resourceUrl } from "../lib/router.js";
import { cssColor } from "../lib/theme.js";
import { ChartPanel, seriesColor } from "../ui/charts.js";
import { html } from "../vendor/preact.js";
import { mainAccuracy, modelTitle } from "./model_metrics.js";

/** Costs: axis title, function that returns a {model, file} entry's value, and format. */
const COST_AXES = {
  size: ["size", ({ file }) => file?.size, formatBytes],
  latency: ["latency per image", ({ file }) => file?.latency_ms, formatMilliseconds],
  parameters: ["parameters", ({ model }) => model.parameters, formatCount],
};

/** Draws `entries` ({model, file}) against a cost. `selected` model ids are drawn as diamonds. */
export function CostScatter({ entries, cost, selected }) {
  const [costTitle, costOf, format] = COST_AXES[cost];
  const points = scatterPoints(entries, costOf);
  const front = paretoFront(points);
  const onFront = new Set(front);
  const architectures = [...new Set(points.map((point) => point.model.architecture))];
  const describe = (point) =>
    `${modelTitle(point.model)} ${formatPercent(point.y)} at ${format(point.x)}`;
  const hoverText = (point) =>
    `<b>${modelTitle(point.model)}</b><br>${point.model.architecture}, ${point.file?.name ?? ""}`
    + `<br>${formatPercent(point.y)} at ${format(point.x)}`
    + `${onFront.has(point) ? "<br>on the Pareto front" : ""}`;
  const pointTrace = (architecture, index) => {
    const group = points.filter((point) => point.model.architecture === architecture);
    return {
      type: "scatter",
      mode: "markers",
      name: architecture,
      x: group.map((point) => point.x),
      y: group.map((point) => point.y),
      text: group.map(hoverText),
      hovertemplate: "%{text}<extra></extra>",
      customdata: group.map((point) => point.model.id),
      marker: {
        color: seriesColor(index),
        opacity: 1,
        size: group.map((point) => (onFront.has(point) ? 14 : 10)),
        symbol: group.map(({ model }) => (selected.includes(model.id) ? "diamond" : "circle")),
        line: {
          width: 1.5,
          color: group.map((point) => cssColor(onFront.has(point) ? "ink" : "surface")),
        },
      },
    };
  };
  const title = `Accuracy vs. ${costTitle}`;
  const summary =
    `${title} of ${points.length} models. On the Pareto front, from the cheapest: `
    + front.map(describe).join(", ");
  const openModel = ({ customdata: id }) => id && navigate(`/models/${id}`);
  return html`<${ChartPanel} title=${title} note=${`${front.length} on the Pareto front`}
    traces=${() => [frontTrace(front), ...architectures.map(pointTrace)]}
    layout=${scatterLayout(points, costTitle, format)} summary=${summary}
    table=${scatterTable(points, onFront, costTitle, format)} onPoint=${openModel} />`;
}

/** Return the measured entries with coordinates: x is the cost, y the accuracy. */
function scatterPoints(entries, costOf) {
  const points = entries.map((entry) => ({
    ...entry,
    x: costOf(entry),
    y: entry.file?.top1 ?? mainAccuracy(entry.model.metrics.student).value,
  }));
  return points.filter((point) => point.x > 0 && !isMissing(point.y));
}

/**
 * Return the Pareto-optimal points by increasing cost. No other point is at least as cheap and at
 * least as accurate as one of these, and better in one of the two respects.
 */
function paretoFront(points) {
  const byCost = [...points].sort((a, b) => a.x - b.x || b.y - a.y);
  let best = -Infinity;
  return byCost.filter((point) => {
    const isBetter = point.y > best;
    best = Math.max(best, point.y);
    return isBetter;
  });
}

const frontTrace = (front) => ({
  type: "scatter",
  mode: "lines",
  name: "Pareto front",
  x: front.map((point) => point.x),
  y: front.map((point) => point.y),
  hoverinfo: "skip",
  line: { shape: "hv", width: 1.5, dash: "dot", color: cssColor("ink-3") },
});

const scatterLayout = (points, costTitle, format) => ({
  hovermode: "closest",
  legend: { y: 1.02, yanchor: "bottom" },
  xaxis: { type: "log", tickangle: 0, title: { text: costTitle }, ...logTicks(points, format) },
  yaxis: { tickformat: ".0%" },
});

const AXIS_PADDING = 1.4; // factor between the outermost points and the ends of the axis

/** Return round ticks with units for a log axis. Plotly's own ticks have no units. */
function logTicks(points, format) {
  if (!points.length) return {};
  const costs = points.map((point) => point.x);
  const [min, max] = [Math.min(...costs), Math.max(...costs)];
  const [low, high] = [min / AXIS_PADDING, max * AXIS_PADDING];
  const candidates = [];
  for (let power = Math.floor(Math.log10(min)); 10 ** power <= high; power += 1) {
    candidates.push(...tickMultiples(max / min).map((multiple) => multiple * 10 ** power));
  }
  const tickvals = candidates.filter((value) => value >= low && value <= high);
  return { tickvals, ticktext: tickvals.map(format), range: [Math.log10(low), Math.log10(high)] };
}

/** Return the ticks within a power of ten: fewer for a wider range of costs. */
function tickMultiples(ratio) {
  if (ratio > 200) return [1];
  return ratio > 20 ? [1, 3] : [1, 1.5, 2, 3, 5, 7];
}

const scatterTable = (points, onFront, costTitle, format) => ({
  columns: ["Model", "File", "Accuracy", costTitle, "On the Pareto front"],
  rows: points.map((point) => [
    html`<a href=${resourceUrl("model", point.model.id)}>${modelTitle(point.model)}</a>`,
    point.file?.name ?? MISSING_TEXT,
    formatPercent(point.y),
    format(point.x),
    onFront.has(point) ? "yes" : "no",
  ]),
});
