/** All models as points: accuracy against what they cost. The front is drawn through those that no other model beats. */
import { Chart, shade } from "./charts.js";
import { bytes, count, milliseconds, percent } from "./format.js";
import { accuracyOf, titleOf } from "./model_facts.js";
import { front } from "./pareto.js";
import { go } from "./router.js";
import { colour } from "./theme.js";
import { html } from "./vendor/preact.js";

/** Costs: [title of the axis, the number of {model, file}, in words]. */
export const COSTS = {
  size: ["size", ({ file }) => file?.size, bytes],
  latency: ["latency of one image", ({ file }) => file?.latency_ms, milliseconds],
  parameters: ["parameters", ({ model }) => model.parameters, count],
};

/** What a point tells; models that were not measured have none. */
function marksOf(entries, cost) {
  const [, number] = COSTS[cost];
  const marks = entries.map((entry) => ({ ...entry, x: number(entry), y: entry.file?.top1 ?? accuracyOf(entry.model.metrics.student).value }));
  return marks.filter((mark) => mark.x > 0 && mark.y !== null && mark.y !== undefined);
}

/** Round numbers within the range, in words; plotly's own on a logarithmic axis lose their units. */
function ticks(marks, words) {
  const [least, most] = [Math.min(...marks.map((mark) => mark.x)), Math.max(...marks.map((mark) => mark.x))];
  const steps = most / least > 200 ? [1] : most / least > 20 ? [1, 3] : [1, 1.5, 2, 3, 5, 7];
  const found = [];
  for (let power = Math.floor(Math.log10(least)); 10 ** power <= most * 1.4; power += 1) found.push(...steps.map((step) => step * 10 ** power));
  const tickvals = found.filter((value) => value >= least / 1.4 && value <= most * 1.4);
  return marks.length ? { tickvals, ticktext: tickvals.map(words), range: [Math.log10(least / 1.4), Math.log10(most * 1.4)] } : {};
}

export function Scatter({ entries, cost, picked }) {
  const [title, , words] = COSTS[cost];
  const marks = marksOf(entries, cost);
  const best = front(marks);
  const leads = new Set(best);
  const kinds = [...new Set(marks.map((mark) => mark.model.architecture))];
  const told = (mark) => `<b>${titleOf(mark.model)}</b><br>${mark.model.architecture}, ${mark.file?.name ?? ""}<br>${percent(mark.y)} at ${words(mark.x)}${leads.has(mark) ? "<br>on the front" : ""}`;
  const cloud = (kind, place) => {
    const mine = marks.filter((mark) => mark.model.architecture === kind);
    return {
      type: "scatter", mode: "markers", name: kind, x: mine.map((mark) => mark.x), y: mine.map((mark) => mark.y), text: mine.map(told), hovertemplate: "%{text}<extra></extra>", customdata: mine.map((mark) => mark.model.id),
      marker: { color: shade(place), opacity: 1, size: mine.map((mark) => (leads.has(mark) ? 14 : 10)), symbol: mine.map((mark) => (picked.includes(mark.model.id) ? "diamond" : "circle")), line: { width: 1.5, color: mine.map((mark) => colour(leads.has(mark) ? "ink" : "surface")) } },
    };
  };
  const line = () => ({ type: "scatter", mode: "lines", name: "front", x: best.map((mark) => mark.x), y: best.map((mark) => mark.y), hoverinfo: "skip", line: { shape: "hv", width: 1.5, dash: "dot", color: colour("ink-3") } });
  const layout = { hovermode: "closest", legend: { y: 1.02, yanchor: "bottom" }, xaxis: { type: "log", tickangle: 0, title: { text: title }, ...ticks(marks, words) }, yaxis: { tickformat: ".0%" } };
  const table = { columns: ["Model", "File", "Accuracy", title, "On the front"], rows: marks.map((mark) => [html`<a href=${`#/models/${mark.model.id}`}>${titleOf(mark.model)}</a>`, mark.file?.name ?? "–", percent(mark.y), words(mark.x), leads.has(mark) ? "yes" : "no"]) };
  const summary = `Accuracy against ${title} of ${marks.length} models; on the front, from the cheapest: ${best.map((mark) => `${titleOf(mark.model)} ${percent(mark.y)} at ${words(mark.x)}`).join(", ")}`;
  return html`<section class="panel chart-panel" aria-label=${`Accuracy against ${title}`}><header><h2>Accuracy against ${title}</h2><span class="small quiet">${best.length} on the front</span></header>
    <div class="body"><${Chart} traces=${() => [line(), ...kinds.map(cloud)]} layout=${layout} summary=${summary} table=${table} onPoint=${(point) => point.customdata && go(`/models/${point.customdata}`)} /></div></section>`;
}
