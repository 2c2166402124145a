/** A job's curves: accuracy against the teacher's line, the terms of the loss, the learning rate. */
import { Chart, shade } from "./charts.js";
import { useGet } from "./fetched.js";
import { percent, plain } from "./format.js";
import { isActive } from "./job_parts.js";
import { Empty, Loaded, Panel } from "./parts.js";
import { colour } from "./theme.js";
import { html } from "./vendor/preact.js";

const POINTS = 600;
const TERM = /^train\//;
const TITLES = { "val/nll": "Negative log-likelihood on the val split" };

export function Curves({ job, teacher }) {
  const metrics = useGet(`/v1/jobs/${job.id}/metrics?max_points=${POINTS}`, { every: isActive(job) ? 2500 : 0 });
  return html`<${Loaded} from=${metrics}>${({ series }) => (Object.keys(series).length ? html`<${Grid} series=${series} teacher=${teacher} />` : html`<${Panel} label="Curves"><${Nothing} job=${job} /></${Panel}>`)}</${Loaded}>`;
}

const Nothing = ({ job }) => html`<${Empty} title=${isActive(job) ? "No curves yet" : "No curves"}>${isActive(job) ? "They begin with the first step of training. Before it, the data is read and the teacher has to prove itself on it." : "This job ended before its first step. Its events and its log say why."}</${Empty}>`;

function Grid({ series, teacher }) {
  const accuracy = Object.keys(series).filter((name) => name === "val/top1" || name === "val/knn_top1");
  const terms = Object.keys(series).filter((name) => TERM.test(name) && name !== "train/loss");
  const others = Object.keys(series).filter((name) => !TERM.test(name) && !accuracy.includes(name) && name !== "learning_rate" && name !== "val/top5");
  return html`<div class="grid-2">
    <${Accuracy} series=${series} names=${accuracy} teacher=${teacher} />
    <${Curve} title="Loss" series=${series} names=${["train/loss"].filter((name) => name in series)} />
    ${terms.length > 1 && html`<${Curve} title="Terms of the loss" series=${series} names=${terms} log />`}
    <${Curve} title="Learning rate" series=${series} names=${["learning_rate"]} />
    ${others.map((name) => html`<${Curve} key=${name} title=${TITLES[name] ?? name} series=${series} names=${[name]} />`)}
  </div>`;
}

const line = (points, name, place, more = {}) => ({
  x: points.map((point) => point.step), y: points.map((point) => point.value), name, mode: points.length > 40 ? "lines" : "lines+markers",
  line: { color: shade(place), width: 2 }, marker: { size: 5 }, type: "scatter", ...more,
});

function Accuracy({ series, names, teacher }) {
  if (!names.length) return html`<${Panel} title="Accuracy"><p class="quiet">The first value comes with the first evaluation.</p></${Panel}>`;
  const points = names.flatMap((name) => series[name]);
  const last = points.at(-1);
  const ends = [0, Math.max(...Object.values(series).map((one) => one.at(-1)?.step ?? 0))];
  const known = teacher?.top1 !== null && teacher?.top1 !== undefined;
  const rule = () => ({ x: ends, y: [teacher.top1, teacher.top1], name: `teacher ${percent(teacher.top1)}`, mode: "lines", line: { color: colour("ink-3"), width: 2, dash: "dash" } });
  const traces = () => [...names.map((name, place) => line(series[name], "student", place)), ...(known ? [rule()] : [])];
  const summary = `Accuracy of the student over ${points.length} evaluations; the last is ${percent(last.value)}${known ? `, the teacher's is ${percent(teacher.top1)}` : ""}.`;
  return html`<section class="panel chart-panel" aria-label="Accuracy"><header><h2>Accuracy</h2><span class="small quiet">${percent(last.value)} now${known ? ` · teacher ${percent(teacher.top1)}` : ""}</span></header>
    <div class="body"><${Chart} traces=${traces} summary=${summary} layout=${{ yaxis: { tickformat: ".0%" }, xaxis: { title: { text: "step" } } }} table=${tableOf(series, names)} /></div></section>`;
}

function Curve({ title, series, names, log = false }) {
  const shown = names.filter((name) => series[name]?.length);
  if (!shown.length) return null;
  const last = shown.length === 1 ? plain(series[shown[0]].at(-1).value) : "";
  const traces = () => shown.map((name, place) => line(series[name], name.replace(TERM, ""), place));
  const layout = { xaxis: { title: { text: "step" } }, yaxis: log ? { type: "log", exponentformat: "power" } : { exponentformat: "power" }, showlegend: shown.length > 1 };
  return html`<section class="panel chart-panel" aria-label=${title}><header><h2>${title}</h2><span class="small quiet">${last}${log ? "logarithmic" : ""}</span></header>
    <div class="body"><${Chart} traces=${traces} layout=${layout} summary=${`${title} by step: ${shown.join(", ")}`} table=${tableOf(series, shown)} /></div></section>`;
}

/** At most forty rows: a table of a thousand helps nobody. */
function tableOf(series, names) {
  const steps = [...new Set(names.flatMap((name) => series[name].map((point) => point.step)))].sort((a, b) => a - b);
  const every = Math.ceil(steps.length / 40);
  const at = Object.fromEntries(names.map((name) => [name, new Map(series[name].map((point) => [point.step, point.value]))]));
  const kept = steps.filter((_, place) => place % every === 0 || place === steps.length - 1);
  return { columns: ["step", ...names], rows: kept.map((step) => [step, ...names.map((name) => at[name].get(step) ?? "–")]) };
}
