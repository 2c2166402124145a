/** How many images each class has, for training and for measuring. */
import { Chart, shade } from "./charts.js";
import { whole } from "./format.js";
import { html } from "./vendor/preact.js";

export function Counts({ dataset: { classes, class_counts: counts } }) {
  if (!counts || !classes.length) return null;
  const splits = Object.entries(counts).filter(([, numbers]) => numbers.some(Boolean));
  if (!splits.length) return null;
  const traces = () => splits.map(([name, numbers], place) => ({ type: "bar", name, x: classes, y: numbers, marker: { color: shade(place) } }));
  const layout = { barmode: "group", bargap: 0.2, xaxis: { type: "category", showgrid: false }, yaxis: { title: { text: "images", standoff: 8 } } };
  const table = { columns: ["Class", ...splits.map(([name]) => name)], rows: classes.map((name, place) => [name, ...splits.map(([, numbers]) => whole(numbers[place]))]) };
  const words = balance(classes, splits[0][1]);
  return html`<section class="panel chart-panel" aria-label="Images of each class"><header><h2>Images of each class</h2><span class="small quiet">${words}</span></header>
    <div class="body"><${Chart} traces=${traces} layout=${layout} summary=${`Images of each of ${classes.length} classes; ${words}`} table=${table} /></div></section>`;
}

function balance(classes, numbers) {
  const most = Math.max(...numbers);
  const least = Math.min(...numbers);
  if (most === least) return `${whole(most)} of each to learn on`;
  return `${whole(least)} of ${classes[numbers.indexOf(least)]} to ${whole(most)} of ${classes[numbers.indexOf(most)]} to learn on`;
}
