/** Accuracy by class, with the largest drops from the teacher first, and the confusion matrix. */
import { formatInteger, formatPercent } from "../lib/format.js";
import { cssColor } from "../lib/theme.js";
import { Chart, ChartPanel, seriesColor } from "../ui/charts.js";
import {
  DataTable, EmptyState, ExpandableList, Panel, SegmentedControl,
} from "../ui/components.js";
import { html, useMemo, useState } from "../vendor/preact.js";
import { formatPoints } from "./model_metrics.js";

const MAX_CHARTED_CLASSES = 24;
const VISIBLE_CLASSES = 50;
const MAX_MATRIX_CLASSES = 60; // larger confusion matrices are illegible
const MAX_LABELED_CLASSES = 16; // larger confusion matrices have no numbers in their cells
const MAX_CONFUSED_PAIRS = 8;

export function ClassAccuracy({ model }) {
  const { student, teacher } = model.metrics;
  const rows = useMemo(
    () => sortByDifference(model.classes, student?.per_class, teacher?.per_class),
    [model],
  );
  if (!rows.length) {
    return html`<${Panel} label="Classes">
      <${EmptyState} title="No accuracy by class">
        Accuracy by class requires a classifier and labels in the val split. Without them, only
        the agreement between student and teacher is measured.
      </${EmptyState}>
    </${Panel}>`;
  }
  const hasTeacher = Boolean(teacher?.per_class);
  return html`<div class="stack">
    <${ClassAccuracyChart} rows=${rows} hasTeacher=${hasTeacher} />
    <${ClassAccuracyTable} rows=${rows} hasTeacher=${hasTeacher} />
    <${ConfusionPanel} classes=${model.classes} student=${student?.confusion}
      teacher=${teacher?.confusion} />
  </div>`;
}

/**
 * Return a row per class, sorted by how far the student's accuracy is below the teacher's or, if
 * there is no teacher, by accuracy. Classes without images are left out.
 */
function sortByDifference(classes, studentValues, teacherValues) {
  const rows = (studentValues ?? []).map((student, index) => {
    const teacher = teacherValues?.[index] ?? null;
    const difference = teacher === null ? null : student - teacher;
    return { id: String(index), name: classes[index], student, teacher, difference };
  });
  return rows
    .filter((row) => row.student !== null)
    .sort((a, b) => (a.difference ?? 0) - (b.difference ?? 0) || a.student - b.student);
}

function ClassAccuracyChart({ rows, hasTeacher }) {
  const charted = rows.slice(0, MAX_CHARTED_CLASSES);
  const barTrace = (name, color) => ({
    type: "bar",
    name,
    x: charted.map((row) => row.name),
    y: charted.map((row) => row[name]),
    marker: { color },
  });
  const traces = () => [
    ...(hasTeacher ? [barTrace("teacher", cssColor("ink-3"))] : []),
    barTrace("student", seriesColor(0)),
  ];
  const layout = {
    barmode: "group",
    bargap: 0.25,
    xaxis: { type: "category" },
    yaxis: { tickformat: ".0%", range: [0, 1.02] },
  };
  const order = hasTeacher ? "largest drop first" : "lowest first";
  const isCut = rows.length > MAX_CHARTED_CLASSES;
  const first = charted.slice(0, 3).map((row) => `${row.name} ${formatPercent(row.student)}`);
  return html`<${ChartPanel} title="Accuracy by class" traces=${traces} layout=${layout}
    note=${isCut ? `first ${MAX_CHARTED_CLASSES} of ${rows.length}, ${order}` : order}
    summary=${`Accuracy by class, ${order}: ${first.join(", ")}`} />`;
}

function ClassAccuracyTable({ rows, hasTeacher }) {
  const columns = [
    ["Class", (row) => html`<span class="cell-main">${row.name}</span>`],
    ["Student", (row) => formatPercent(row.student), "number"],
  ];
  if (hasTeacher) {
    columns.push(
      ["Teacher", (row) => formatPercent(row.teacher), "number"],
      ["Difference", ({ difference }) => html`<span class=${differenceClass(difference)}>
        ${formatPoints(difference)}
      </span>`, "number"],
    );
  }
  const label = "Accuracy by class, as a table";
  return html`<${Panel} title="All classes" flush>
    <${ExpandableList} items=${rows} limit=${VISIBLE_CLASSES} noun="classes">${(visible) =>
      html`<${DataTable} label=${label} rows=${visible} columns=${columns} />`
    }</${ExpandableList}>
  </${Panel}>`;
}

function differenceClass(difference) {
  if (difference < 0) return "worse";
  return difference > 0 ? "better" : "";
}

function ConfusionPanel({ classes, student, teacher }) {
  const [side, setSide] = useState("student");
  const matrix = side === "teacher" && teacher ? teacher : student;
  if (!matrix) return null;
  const pairs = mostConfusedPairs(matrix, classes);
  const options = [["student", "Student"], ["teacher", "Teacher"]];
  const control = teacher && html`<${SegmentedControl} label="Predictions of" options=${options}
    value=${side} onSelect=${setSide} />`;
  const items = pairs.map(([count, actual, predicted]) => html`<li>
    ${formatInteger(count)} × <strong>${actual}</strong> predicted as${" "}
    <strong>${predicted}</strong>
  </li>`);
  return html`<${Panel} title="Confusion matrix" headerActions=${control}>
    ${classes.length <= MAX_MATRIX_CLASSES && html`<${ConfusionMatrix} matrix=${matrix}
      classes=${classes} side=${side} />`}
    ${pairs.length
      ? html`<h3 class="space-above">Most frequent confusions</h3>
          <ol class="confusion-list">${items}</ol>`
      : html`<p class="muted">No images in the val split were misclassified.</p>`}
  </${Panel}>`;
}

/** Return the most frequent errors as [count, actual class, predicted class]. */
function mostConfusedPairs(matrix, classes) {
  const pairs = [];
  for (const [actual, row] of matrix.entries()) {
    for (const [predicted, count] of row.entries()) {
      if (count && actual !== predicted) pairs.push([count, classes[actual], classes[predicted]]);
    }
  }
  return pairs.sort((a, b) => b[0] - a[0]).slice(0, MAX_CONFUSED_PAIRS);
}

function ConfusionMatrix({ matrix, classes, side }) {
  const fractions = matrix.map((row) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    return row.map((count) => count / Math.max(1, total));
  });
  const traces = () => [{
    type: "heatmap",
    x: classes,
    y: classes,
    z: fractions,
    text: matrix,
    hovertemplate: "%{y} predicted as %{x}: %{text} images (%{z:.1%})<extra></extra>",
    xgap: 1,
    ygap: 1,
    colorscale: [[0, cssColor("sunken")], [1, cssColor("accent")]],
    zmin: 0,
    zmax: 1,
    showscale: false,
    ...(classes.length <= MAX_LABELED_CLASSES ? { texttemplate: "%{text}" } : {}),
  }];
  const axis = { type: "category", constrain: "domain", showgrid: false };
  const layout = {
    hovermode: "closest",
    showlegend: false,
    xaxis: { ...axis, title: { text: "predicted class" } },
    yaxis: { ...axis, autorange: "reversed", title: { text: "actual class" }, scaleanchor: "x" },
  };
  const table = {
    columns: ["Actual class", ...classes],
    rows: matrix.map((row, index) => [classes[index], ...row]),
  };
  const summary =
    `Confusion matrix of the ${side}: rows are actual classes, columns are predicted classes`;
  return html`<${Chart} tall traces=${traces} layout=${layout} summary=${summary}
    table=${table} />`;
}
