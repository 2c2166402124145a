/** Accuracy by class, the greatest losses against the teacher first, and what is taken for what. */
import { Chart, shade } from "./charts.js";
import { percent, whole } from "./format.js";
import { points } from "./model_facts.js";
import { Empty, Panel, Rows, Segments } from "./parts.js";
import { colour } from "./theme.js";
import { html, useMemo, useState } from "./vendor/preact.js";

const CHARTED = 24;
const FIRST = 50;
const DRAWN = 60; // classes of a confusion matrix that can still be seen

export function Classes({ model }) {
  const { student, teacher } = model.metrics;
  const rows = useMemo(() => sorted(model.classes, student?.per_class, teacher?.per_class), [model]);
  if (!rows.length) return html`<${Panel} label="Classes"><${Empty} title="Accuracy by class is not known">It takes a classifier and labels on the val split; without them student and teacher are only compared with each other.</${Empty}></${Panel}>`;
  return html`<div class="stack">
    <${Losses} rows=${rows} taught=${Boolean(teacher?.per_class)} />
    <${Table} rows=${rows} taught=${Boolean(teacher?.per_class)} />
    <${Confusion} classes=${model.classes} student=${student?.confusion} teacher=${teacher?.confusion} />
  </div>`;
}

/** By what the student loses against the teacher; without one, the least accurate first. Classes without images are left out. */
function sorted(classes, mine, theirs) {
  const rows = (mine ?? []).map((value, place) => ({ id: String(place), name: classes[place], student: value, teacher: theirs?.[place] ?? null }));
  const known = rows.filter((row) => row.student !== null);
  for (const row of known) row.difference = row.teacher === null ? null : row.student - row.teacher;
  return known.sort((a, b) => (a.difference ?? 0) - (b.difference ?? 0) || a.student - b.student);
}

function Losses({ rows, taught }) {
  const shown = rows.slice(0, CHARTED);
  const bar = (key, name, paint) => ({ type: "bar", name, x: shown.map((row) => row.name), y: shown.map((row) => row[key]), marker: { color: paint } });
  const traces = () => [...(taught ? [bar("teacher", "teacher", colour("ink-3"))] : []), bar("student", "student", shade(0))];
  const layout = { barmode: "group", yaxis: { tickformat: ".0%", range: [0, 1.02] }, xaxis: { type: "category" }, bargap: 0.25 };
  const summary = `Accuracy by class${taught ? ", the greatest loss against the teacher first" : ", the least first"}: ${shown.slice(0, 3).map((row) => `${row.name} ${percent(row.student)}`).join(", ")}`;
  const note = rows.length > CHARTED ? `the first ${CHARTED} of ${rows.length}` : taught ? "greatest loss first" : "least first";
  return html`<section class="panel chart-panel" aria-label="Accuracy by class"><header><h2>Accuracy by class</h2><span class="small quiet">${note}</span></header>
    <div class="body"><${Chart} traces=${traces} layout=${layout} summary=${summary} /></div></section>`;
}

function Table({ rows, taught }) {
  const [all, show] = useState(false);
  const columns = [
    ["Class", (row) => html`<span class="cell-main">${row.name}</span>`],
    ["Student", (row) => percent(row.student), "number"],
    ...(taught ? [["Teacher", (row) => percent(row.teacher), "number"], ["Student against teacher", (row) => html`<span class=${row.difference < 0 ? "less" : row.difference > 0 ? "more" : ""}>${points(row.difference)}</span>`, "number"]] : []),
  ];
  return html`<${Panel} title="Classes in numbers" flush><${Rows} label="Accuracy by class in numbers" rows=${all ? rows : rows.slice(0, FIRST)} columns=${columns} />
    ${rows.length > FIRST && !all && html`<p class="panel-note"><button class="button tiny" onClick=${() => show(true)}>Show all ${rows.length} classes</button></p>`}</${Panel}>`;
}

function Confusion({ classes, student, teacher }) {
  const [whose, pick] = useState("student");
  const matrix = whose === "teacher" && teacher ? teacher : student;
  if (!matrix) return null;
  const pairs = confused(matrix, classes);
  const switcher = teacher && html`<${Segments} label="Whose answers" options=${[["student", "Student"], ["teacher", "Teacher"]]} value=${whose} pick=${pick} />`;
  return html`<${Panel} title="What is taken for what" aside=${switcher}>
    ${classes.length <= DRAWN && html`<${Matrix} matrix=${matrix} classes=${classes} whose=${whose} />`}
    ${pairs.length ? html`<h3 class="above">Most frequent</h3><ol class="confused">${pairs.map(([count, is, taken]) => html`<li>${whole(count)} × <strong>${is}</strong> taken for <strong>${taken}</strong></li>`)}</ol>` : html`<p class="quiet">No image of the val split was taken for another class.</p>`}
  </${Panel}>`;
}

function confused(matrix, classes) {
  const found = matrix.flatMap((row, is) => row.map((count, taken) => [count, classes[is], classes[taken], is !== taken]));
  return found.filter(([count, , , wrong]) => wrong && count).sort((a, b) => b[0] - a[0]).slice(0, 8);
}

function Matrix({ matrix, classes, whose }) {
  const shares = matrix.map((row) => row.map((count) => count / Math.max(1, row.reduce((sum, one) => sum + one, 0))));
  const traces = () => [{
    type: "heatmap", z: shares, x: classes, y: classes, text: matrix, hovertemplate: "%{y} taken for %{x}: %{text} images (%{z:.1%})<extra></extra>", xgap: 1, ygap: 1,
    colorscale: [[0, colour("sunken")], [1, colour("accent")]], zmin: 0, zmax: 1, showscale: false, ...(classes.length <= 16 ? { texttemplate: "%{text}" } : {}),
  }];
  const axis = { type: "category", constrain: "domain", showgrid: false };
  const layout = { hovermode: "closest", showlegend: false, xaxis: { ...axis, title: { text: "taken for" } }, yaxis: { ...axis, autorange: "reversed", title: { text: "is" }, scaleanchor: "x" } };
  const table = { columns: ["Class", ...classes], rows: matrix.map((row, place) => [classes[place], ...row]) };
  return html`<${Chart} tall traces=${traces} layout=${layout} summary=${`Confusion matrix of the ${whose}: rows are classes, columns what they were taken for`} table=${table} />`;
}
