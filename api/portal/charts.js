/** Charts by plotly, which is loaded when the first one is drawn. Each has its numbers as a table, too. */
import { plain } from "./format.js";
import { colour, onTheme } from "./theme.js";
import { html, useEffect, useRef, useState } from "./vendor/preact.js";

const SCRIPT = "/portal/vendor/plotly.min.js";
let loading = null;

function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src: SCRIPT });
    const restore = withoutMapStyles();
    script.onload = () => {
      restore();
      resolve(globalThis.Plotly);
    };
    script.onerror = () => {
      restore();
      loading = null;
      reject(new Error("The charts' script could not be loaded."));
    };
    document.head.append(script);
  });
  return loading;
}

const MAP_STYLES = /^[0-9a-f]{64}$/;

/**
 * The script would write a <style> element for its maps, which are none of ours and which the content security policy forbids:
 * unless it finds one under the element's id, a digest. So while it loads it is told that there is one.
 */
function withoutMapStyles() {
  document.getElementById = (id) => (MAP_STYLES.test(id) ? document.head : Document.prototype.getElementById.call(document, id));
  return () => delete document.getElementById;
}

/** The n-th colour of a chart's lines. */
export const shade = (place) => colour(`chart-${(place % 6) + 1}`);

/**
 * A chart. `traces` is a function (colours are read when it is drawn), `layout` adds to ours, `table` is {columns, rows} for those
 * who do not see it, `summary` what it shows in a sentence. `onPoint` hears of a clicked point.
 */
export function Chart({ traces, layout = {}, summary, table, tall = false, onPoint }) {
  const place = useRef();
  const [failed, fail] = useState(null);
  const [, redraw] = useState(0);
  useEffect(() => onTheme(() => redraw((times) => times + 1)), []);
  useEffect(() => {
    let gone = false;
    plotly().then(
      (Plotly) => {
        if (gone) return;
        Plotly.react(place.current, traces(), merged(base(), layout), { displayModeBar: false, responsive: true });
        if (onPoint && !place.current.listens) {
          place.current.listens = true;
          place.current.on("plotly_click", (event) => onPoint(event.points[0]));
        }
      },
      (error) => fail(error.message),
    );
    return () => {
      gone = true;
    };
  });
  useEffect(() => () => globalThis.Plotly?.purge(place.current), []);
  if (failed) return html`<p class="notice warn" role="alert">${failed} Reload the page; the numbers are in the table.</p>`;
  return html`<div class="chart">
    <div class="plot ${tall ? "tall" : ""}" ref=${place} role="img" aria-label=${summary}></div>
    ${table && html`<details class="chart-note"><summary>The numbers as a table</summary><${Numbers} ...${table} label=${summary} /></details>`}
  </div>`;
}

const Numbers = ({ columns, rows, label }) => html`<div class="table-box" tabindex="0" role="region" aria-label=${label}><table class="rows">
  <thead><tr>${columns.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
  <tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${typeof cell === "number" ? plain(cell) : cell}</td>`)}</tr>`)}</tbody>
</table></div>`;

/** The look of all charts: no frame, thin lines, our colours and type. */
function base() {
  const axis = { gridcolor: colour("line"), zeroline: false, linecolor: colour("line"), tickfont: { size: 11 }, automargin: true, fixedrange: true };
  return {
    margin: { l: 48, r: 16, t: 12, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: colour("sans"), size: 12, color: colour("ink-2") },
    hovermode: "x unified",
    hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("line"), font: { color: colour("ink"), size: 12 } },
    legend: { orientation: "h", y: 1.14, x: 0, font: { size: 12 } },
    showlegend: true,
    uirevision: "kept",
    xaxis: { ...axis },
    yaxis: { ...axis },
  };
}

function merged(ours, theirs) {
  const out = { ...ours };
  for (const [name, value] of Object.entries(theirs)) {
    out[name] = value && typeof value === "object" && !Array.isArray(value) && name in ours ? { ...ours[name], ...value } : value;
  }
  return out;
}
