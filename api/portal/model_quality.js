/** Teacher beside student: accuracy, size, latency. */
import { Chart, shade } from "./charts.js";
import { bytes, milliseconds, percent, whole } from "./format.js";
import { accuracyOf, against, changed, MEASURES, points } from "./model_facts.js";
import { Empty, Panel, Rows } from "./parts.js";
import { colour } from "./theme.js";
import { html } from "./vendor/preact.js";

const FLOAT = 4; // bytes

export function Beside({ model }) {
  const { student, teacher } = model.metrics;
  if (!student) return html`<${Panel} label="Quality"><${Empty} title="Nothing was measured">The bundle that this model came in tells no metrics.</${Empty}></${Panel}>`;
  return html`<div class="stack">
    ${teacher && html`<div class="grid-3"><${Bars} title="Accuracy" ...${accuracies(student, teacher)} /><${Bars} title="Size of the weights" ...${sizes(student, teacher)} /><${Bars} title="Latency" ...${latencies(student, teacher)} /></div>`}
    <${Table} student=${student} teacher=${teacher} />
    <${Protocols} student=${student} teacher=${teacher} />
  </div>`;
}

function accuracies(student, teacher) {
  const mine = accuracyOf(student);
  const theirs = accuracyOf(teacher);
  return { values: [theirs.value, mine.value], words: percent, note: mine.words === theirs.words ? points(mine.value - theirs.value) : mine.words, format: ".0%" };
}

function sizes(student, teacher) {
  const both = [teacher, student].map((one) => one.parameters && one.parameters * FLOAT);
  return { values: both, words: bytes, note: against(both[1], both[0], "smaller", "larger"), format: "~s" };
}

const latencies = (student, teacher) => ({
  values: [teacher.latency_ms, student.latency_ms], words: milliseconds, note: against(student.latency_ms, teacher.latency_ms, "faster", "slower"), format: "~r",
});

/** Two bars. What is not known has none, and says so. */
function Bars({ title, values, words, note, format }) {
  const names = ["teacher", "student"];
  const traces = () => [{
    type: "bar", x: values, y: names, orientation: "h", text: values.map((value) => words(value)), textposition: "auto", hoverinfo: "skip", cliponaxis: false,
    marker: { color: [colour("ink-3"), shade(0)] }, width: 0.6,
  }];
  const layout = { showlegend: false, margin: { l: 60, r: 16, t: 6, b: 28 }, yaxis: { autorange: "reversed" }, xaxis: { tickformat: format, rangemode: "tozero", nticks: 4 }, bargap: 0.3 };
  const summary = `${title}: ${names.map((name, place) => `${name} ${words(values[place])}`).join(", ")}`;
  return html`<section class="panel chart-panel two-bars" aria-label=${title}><header><h2>${title}</h2><span class="small quiet">${note}</span></header>
    <div class="body"><${Chart} traces=${traces} layout=${layout} summary=${summary} /></div></section>`;
}

function Table({ student, teacher }) {
  const rows = MEASURES.filter(([name]) => [student, teacher].some((one) => one?.[name] !== null && one?.[name] !== undefined)).map((row) => ({ id: row[0], row }));
  const columns = [
    ["", ({ row }) => row[1]],
    ["Student", ({ row: [name, , words] }) => words(student[name]), "number"],
    ...(teacher ? [["Teacher", ({ row: [name, , words] }) => words(teacher[name]), "number"], ["Student against teacher", ({ row }) => changed(row, student[row[0]], teacher[row[0]]), "number"]] : []),
  ];
  const told = `Measured on the ${whole(student.images)} images of the val split, on the CPU.`;
  return html`<${Panel} title="In numbers" flush><${Rows} label="Teacher and student in numbers" rows=${rows} columns=${columns} />
    <p class="panel-note">${told}${teacher ? "" : " No teacher: it was trained on labels alone."}</p></${Panel}>`;
}

/** What the features are worth: nearest neighbours, linear probes, transfer, where the job asked for them. */
function Protocols({ student, teacher }) {
  const rows = (student.protocols ?? []).map((one, place) => ({ ...one, id: String(place), theirs: teacher?.protocols?.[place] }));
  if (!rows.length) return null;
  const value = (one) => percent(one?.top1);
  return html`<${Panel} title="Protocols on the features" flush><${Rows} label="Protocols" rows=${rows} columns=${[
    ["Protocol", (row) => html`${row.name}<span class="cell-sub mono">${JSON.stringify(settings(row))}</span>`], ["Student", value, "number"], ["Teacher", (row) => value(row.theirs), "number"],
  ]} /></${Panel}>`;
}

const settings = ({ id, theirs, name, top1, ...rest }) => rest;
