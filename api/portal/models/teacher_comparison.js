/** Student and teacher side by side: accuracy, size, latency and every other measurement. */
import {
  formatBytes, formatInteger, formatMilliseconds, formatPercent, isMissing,
} from "../lib/format.js";
import { cssColor } from "../lib/theme.js";
import { HorizontalBarChart, seriesColor } from "../ui/charts.js";
import { DataTable, EmptyState, Panel } from "../ui/components.js";
import { html } from "../vendor/preact.js";
import { formatChange, formatPoints, formatRatio, mainAccuracy, METRICS } from "./model_metrics.js";

const BYTES_PER_FLOAT32 = 4;

export function TeacherComparison({ model }) {
  const { student, teacher } = model.metrics;
  if (!student) {
    return html`<${Panel} label="Quality">
      <${EmptyState} title="No measurements">
        The imported bundle contains no metrics.
      </${EmptyState}>
    </${Panel}>`;
  }
  return html`<div class="stack">
    ${teacher && html`<div class="grid-3">
      <${TeacherStudentBars} title="Accuracy" ...${accuracyBars(student, teacher)} />
      <${TeacherStudentBars} title="Size of the weights" ...${sizeBars(student, teacher)} />
      <${TeacherStudentBars} title="Latency" ...${latencyBars(student, teacher)} />
    </div>`}
    <${MetricTable} student=${student} teacher=${teacher} />
    <${EvaluationProtocols} student=${student} teacher=${teacher} />
  </div>`;
}

function accuracyBars(student, teacher) {
  const studentAccuracy = mainAccuracy(student);
  const teacherAccuracy = mainAccuracy(teacher);
  const isComparable = studentAccuracy.label === teacherAccuracy.label;
  return {
    values: [teacherAccuracy.value, studentAccuracy.value],
    format: formatPercent,
    tickFormat: ".0%",
    note: isComparable
      ? formatPoints(studentAccuracy.value - teacherAccuracy.value)
      : studentAccuracy.label,
  };
}

function sizeBars(student, teacher) {
  const weightBytes = ({ parameters }) => parameters && parameters * BYTES_PER_FLOAT32;
  const values = [weightBytes(teacher), weightBytes(student)];
  return {
    values,
    format: formatBytes,
    tickFormat: "~s",
    note: formatRatio(values[1], values[0], "smaller", "larger"),
  };
}

const latencyBars = (student, teacher) => ({
  values: [teacher.latency_ms, student.latency_ms],
  format: formatMilliseconds,
  tickFormat: "~r",
  note: formatRatio(student.latency_ms, teacher.latency_ms, "faster", "slower"),
});

const TeacherStudentBars = (props) => html`<${HorizontalBarChart} compact
  names=${["teacher", "student"]} colors=${() => [cssColor("ink-3"), seriesColor(0)]}
  ...${props} />`;

function MetricTable({ student, teacher }) {
  const isMeasured = ({ name }) => !isMissing(student?.[name]) || !isMissing(teacher?.[name]);
  const rows = METRICS.filter(isMeasured).map((metric) => ({ id: metric.name, metric }));
  const columns = [
    ["Metric", ({ metric }) => metric.label],
    ["Student", ({ metric }) => metric.format(student[metric.name]), "number"],
  ];
  if (teacher) {
    columns.push(
      ["Teacher", ({ metric }) => metric.format(teacher[metric.name]), "number"],
      [
        "Difference",
        ({ metric }) => formatChange(metric, student[metric.name], teacher[metric.name]),
        "number",
      ],
    );
  }
  const images = formatInteger(student.images);
  return html`<${Panel} title="Measurements" flush>
    <${DataTable} label="Metrics of student and teacher" rows=${rows} columns=${columns} />
    <p class="panel-note">
      Measured on the CPU, on the ${images} images of the val split.${
        teacher ? "" : " No teacher: the model was trained on labels only."}
    </p>
  </${Panel}>`;
}

/** Results of the additional evaluations that the job asked for, such as linear probes. */
function EvaluationProtocols({ student, teacher }) {
  const rows = (student.protocols ?? []).map((protocol, index) => ({
    id: String(index),
    protocol,
    teacherTop1: teacher?.protocols?.[index]?.top1,
  }));
  if (!rows.length) return null;
  return html`<${Panel} title="Additional evaluations" flush>
    <${DataTable} label="Additional evaluations" rows=${rows} columns=${[
      ["Protocol", ({ protocol }) => html`${protocol.name}
        <span class="cell-sub mono">${JSON.stringify(protocolSettings(protocol))}</span>`],
      ["Student", ({ protocol }) => formatPercent(protocol.top1), "number"],
      ["Teacher", ({ teacherTop1 }) => formatPercent(teacherTop1), "number"],
    ]} />
  </${Panel}>`;
}

const protocolSettings = ({ name: _name, top1: _top1, ...settings }) => settings;
