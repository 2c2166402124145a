/** Plotly charts. The script is loaded for the first chart; every chart can have a data table. */
import { formatNumber } from "../lib/format.js";
import { useRerenderOn } from "../lib/hooks.js";
import { cssColor, onThemeChange } from "../lib/theme.js";
import { html, useEffect, useRef, useState } from "../vendor/preact.js";

const PLOTLY_URL = "/portal/vendor/plotly.min.js";
const MAP_STYLE_ID = /^[0-9a-f]{64}$/;
const SERIES_COLORS = 6;
let plotlyPromise = null;

function loadPlotly() {
  plotlyPromise ??= new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src: PLOTLY_URL });
    const restore = suppressMapStyles();
    script.onload = () => {
      restore();
      resolve(globalThis.Plotly);
    };
    script.onerror = () => {
      restore();
      plotlyPromise = null;
      reject(new Error("The chart library could not be loaded."));
    };
    document.head.append(script);
  });
  return plotlyPromise;
}

/**
 * Keep Plotly from adding a <style> element for maps, which the content security policy forbids.
 * Plotly skips this step if an element whose id is a certain digest exists. While the script loads,
 * `getElementById` therefore pretends that it does.
 */
function suppressMapStyles() {
  const find = (id) => Document.prototype.getElementById.call(document, id);
  document.getElementById = (id) => (MAP_STYLE_ID.test(id) ? document.head : find(id));
  return () => delete document.getElementById;
}

/** Return the color of the n-th series of a chart. */
export const seriesColor = (index) => cssColor(`chart-${(index % SERIES_COLORS) + 1}`);

/**
 * A chart. `traces` is a function, so that colors are read on every draw. `layout` extends the base
 * layout, `summary` describes the chart in a sentence, `table` is its data as {columns, rows}, and
 * `onPoint` is called with a clicked point.
 */
export function Chart({ traces, layout = {}, summary, table, tall = false, onPoint }) {
  const plot = useRef();
  const [error, setError] = useState(null);
  useRerenderOn(onThemeChange);
  useEffect(() => {
    let cancelled = false;
    const draw = (Plotly) => {
      if (cancelled) return;
      const options = { displayModeBar: false, responsive: true };
      Plotly.react(plot.current, traces(), mergeLayout(baseLayout(), layout), options);
      if (onPoint && !plot.current.hasListener) {
        plot.current.hasListener = true;
        plot.current.on("plotly_click", (event) => onPoint(event.points[0]));
      }
    };
    loadPlotly().then(draw, (loadError) => setError(loadError.message));
    return () => {
      cancelled = true;
    };
  });
  useEffect(() => () => globalThis.Plotly?.purge(plot.current), []);
  if (error) {
    return html`<p class="notice warn" role="alert">${error} Reload the page to try again.</p>`;
  }
  return html`<div class="chart">
    <div class="plot ${tall ? "tall" : ""}" ref=${plot} role="img" aria-label=${summary}></div>
    ${table && html`<details class="chart-note">
      <summary>Show as table</summary><${ChartTable} ...${table} label=${summary} />
    </details>`}
  </div>`;
}

function ChartTable({ columns, rows, label }) {
  const formatCell = (cell) => (typeof cell === "number" ? formatNumber(cell) : cell);
  const renderRow = (row) =>
    html`<tr>${row.map((cell) => html`<td>${formatCell(cell)}</td>`)}</tr>`;
  return html`<div class="table-box" tabindex="0" role="region" aria-label=${label}>
    <table class="rows">
      <thead><tr>${columns.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
      <tbody>${rows.map(renderRow)}</tbody>
    </table>
  </div>`;
}

/** A chart in a panel with a title and a note. Other props go to the chart. */
export const ChartPanel = ({ title, note = "", compact = false, ...chartProps }) => html`
  <section class="panel chart-panel ${compact ? "compact-chart" : ""}" aria-label=${title}>
    <header><h2>${title}</h2><span class="small muted">${note}</span></header>
    <div class="body"><${Chart} ...${chartProps} /></div>
  </section>`;

/**
 * One horizontal bar per name. `format` formats values, `tickFormat` is Plotly's format of the
 * axis, and `colors` is a function that returns a color per bar. A missing value has no bar.
 */
export function HorizontalBarChart(
  { title, note, names, values, format, tickFormat, colors, compact = false },
) {
  const traces = () => [{
    type: "bar",
    orientation: "h",
    x: values,
    y: names,
    text: values.map((value) => format(value)),
    textposition: "auto",
    hovertemplate: "%{y}: %{text}<extra></extra>",
    marker: { color: colors() },
    ...(compact ? { width: 0.6, cliponaxis: false } : {}),
  }];
  const layout = {
    showlegend: false,
    hovermode: "closest",
    margin: { l: compact ? 60 : 12, r: 16, t: 6, b: 28 },
    yaxis: { autorange: "reversed", type: "category" },
    xaxis: { tickformat: tickFormat, rangemode: "tozero", nticks: 4 },
  };
  const descriptions = names.map((name, index) => `${name} ${format(values[index])}`);
  return html`<${ChartPanel} title=${title} note=${note} compact=${compact} traces=${traces}
    layout=${layout} summary=${`${title}: ${descriptions.join(", ")}`} />`;
}

/** The look that all charts share: no frame, thin lines, the theme's colors and font. */
function baseLayout() {
  const axis = {
    gridcolor: cssColor("line"),
    zeroline: false,
    linecolor: cssColor("line"),
    tickfont: { size: 11 },
    automargin: true,
    fixedrange: true,
  };
  return {
    margin: { l: 48, r: 16, t: 12, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: cssColor("sans"), size: 12, color: cssColor("ink-2") },
    hovermode: "x unified",
    hoverlabel: {
      bgcolor: cssColor("surface"),
      bordercolor: cssColor("line"),
      font: { color: cssColor("ink"), size: 12 },
    },
    legend: { orientation: "h", y: 1.14, x: 0, font: { size: 12 } },
    showlegend: true,
    uirevision: "constant", // keeps legend choices across redraws
    xaxis: { ...axis },
    yaxis: { ...axis },
  };
}

/** Merge two layouts, one level deep. */
function mergeLayout(base, overrides) {
  const merged = { ...base };
  for (const [name, value] of Object.entries(overrides)) {
    const isObject = value && typeof value === "object" && !Array.isArray(value);
    merged[name] = isObject && name in base ? { ...base[name], ...value } : value;
  }
  return merged;
}
