/** Charts of a job's metrics: accuracy against the teacher's, loss terms, learning rate. */
import { formatNumber, formatPercent, isMissing, MISSING_TEXT } from "../lib/format.js";
import { useFetch } from "../lib/hooks.js";
import { cssColor } from "../lib/theme.js";
import { ChartPanel, seriesColor } from "../ui/charts.js";
import { AsyncContent, EmptyState, Panel } from "../ui/components.js";
import { html } from "../vendor/preact.js";
import { isActive } from "./job_status.js";

const MAX_POINTS = 600;
const MAX_TABLE_ROWS = 40;
const MAX_MARKED_POINTS = 40; // longer series are drawn without markers
const TRAIN_PREFIX = /^train\//;
const ACCURACY_METRICS = ["val/top1", "val/knn_top1"];
const METRIC_TITLES = { "val/nll": "Negative log-likelihood on the val split" };
const STEP_AXIS = { title: { text: "step" } };

export function JobCharts({ job, teacher }) {
  const path = `/v1/jobs/${job.id}/metrics?max_points=${MAX_POINTS}`;
  const metrics = useFetch(path, { intervalMs: isActive(job) ? 2500 : 0 });
  return html`<${AsyncContent} query=${metrics}>${({ series }) =>
    Object.keys(series).length
      ? html`<${ChartGrid} series=${series} teacher=${teacher} />`
      : html`<${Panel} label="Metrics"><${NoMetrics} job=${job} /></${Panel}>`
  }</${AsyncContent}>`;
}

const NoMetrics = ({ job }) =>
  isActive(job)
    ? html`<${EmptyState} title="No metrics yet">
        Metrics appear after the first training step. Before that, the job reads the data and
        verifies the teacher.
      </${EmptyState}>`
    : html`<${EmptyState} title="No metrics">
        The job ended before its first training step. See its events and logs for the reason.
      </${EmptyState}>`;

function ChartGrid({ series, teacher }) {
  const names = Object.keys(series);
  const accuracy = names.filter((name) => ACCURACY_METRICS.includes(name));
  const lossTerms = names.filter((name) => TRAIN_PREFIX.test(name) && name !== "train/loss");
  const charted = new Set([...ACCURACY_METRICS, "learning_rate", "val/top5"]);
  const others = names.filter((name) => !TRAIN_PREFIX.test(name) && !charted.has(name));
  const otherCharts = others.map((name) => html`<${MetricChart} key=${name}
    title=${METRIC_TITLES[name] ?? name} series=${series} names=${[name]} />`);
  return html`<div class="grid-2">
    <${AccuracyChart} series=${series} names=${accuracy} teacher=${teacher} />
    <${MetricChart} title="Loss" series=${series} names=${["train/loss"]} />
    ${lossTerms.length > 1 && html`<${MetricChart} title="Loss terms" series=${series}
      names=${lossTerms} log />`}
    <${MetricChart} title="Learning rate" series=${series} names=${["learning_rate"]} />
    ${otherCharts}
  </div>`;
}

const lineTrace = (points, name, index) => ({
  type: "scatter",
  mode: points.length > MAX_MARKED_POINTS ? "lines" : "lines+markers",
  name,
  x: points.map((point) => point.step),
  y: points.map((point) => point.value),
  line: { color: seriesColor(index), width: 2 },
  marker: { size: 5 },
});

function AccuracyChart({ series, names, teacher }) {
  if (!names.length) {
    return html`<${Panel} title="Accuracy">
      <p class="muted">The first value appears after the first evaluation.</p>
    </${Panel}>`;
  }
  const points = names.flatMap((name) => series[name]);
  const last = formatPercent(points.at(-1).value);
  const lastSteps = Object.values(series).map((metricPoints) => metricPoints.at(-1)?.step ?? 0);
  const teacherTop1 = isMissing(teacher?.top1) ? null : formatPercent(teacher.top1);
  const teacherTrace = () => ({
    name: `teacher ${teacherTop1}`,
    x: [0, Math.max(...lastSteps)],
    y: [teacher.top1, teacher.top1],
    mode: "lines",
    line: { color: cssColor("ink-3"), width: 2, dash: "dash" },
  });
  const traces = () => [
    ...names.map((name, index) => lineTrace(series[name], "student", index)),
    ...(teacherTop1 ? [teacherTrace()] : []),
  ];
  const summary =
    `Accuracy of the student over ${points.length} evaluations. The last value is ${last}`
    + `${teacherTop1 ? `; the teacher's is ${teacherTop1}` : ""}.`;
  const note = `latest ${last}${teacherTop1 ? ` · teacher ${teacherTop1}` : ""}`;
  const layout = { yaxis: { tickformat: ".0%" }, xaxis: STEP_AXIS };
  return html`<${ChartPanel} title="Accuracy" note=${note} traces=${traces} layout=${layout}
    summary=${summary} table=${chartTable(series, names)} />`;
}

function MetricChart({ title, series, names, log = false }) {
  const present = names.filter((name) => series[name]?.length);
  if (!present.length) return null;
  const last = present.length === 1 ? formatNumber(series[present[0]].at(-1).value) : "";
  const traces = () =>
    present.map((name, index) => lineTrace(series[name], name.replace(TRAIN_PREFIX, ""), index));
  const layout = {
    xaxis: STEP_AXIS,
    yaxis: { exponentformat: "power", ...(log ? { type: "log" } : {}) },
    showlegend: present.length > 1,
  };
  return html`<${ChartPanel} title=${title} note=${log ? "log scale" : last} traces=${traces}
    layout=${layout} summary=${`${title} by step: ${present.join(", ")}`}
    table=${chartTable(series, present)} />`;
}

/** Return the data of a chart as a table, thinned to about MAX_TABLE_ROWS rows. */
function chartTable(series, names) {
  const allSteps = new Set(names.flatMap((name) => series[name].map((point) => point.step)));
  const steps = [...allSteps].sort((a, b) => a - b);
  const stride = Math.ceil(steps.length / MAX_TABLE_ROWS);
  const lastIndex = steps.length - 1;
  const shownSteps = steps.filter((_, index) => index % stride === 0 || index === lastIndex);
  const values = names.map(
    (name) => new Map(series[name].map((point) => [point.step, point.value])),
  );
  const rows = shownSteps.map(
    (step) => [step, ...values.map((byStep) => byStep.get(step) ?? MISSING_TEXT)],
  );
  return { columns: ["step", ...names], rows };
}
