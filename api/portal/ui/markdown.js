/**
 * Markdown as the service's model cards use it: headings, paragraphs, lists, tables, code and bold.
 * It renders elements and never raw HTML, so that user input such as names stays text.
 */
import { html } from "../vendor/preact.js";

const INLINE_MARKUP = /(`[^`]+`|\*\*[^*]+\*\*)/;

export const Markdown = ({ text }) =>
  html`<div class="prose">${parseBlocks(text.split("\n")).map(renderBlock)}</div>`;

/** Group consecutive lines of one kind: [[kind, lines], …]. */
function parseBlocks(lines) {
  const blocks = [];
  let inCode = false;
  for (const line of lines) {
    const last = blocks.at(-1);
    if (line.startsWith("```")) {
      inCode = !inCode;
      blocks.push([inCode ? "code" : "gap", []]);
    } else if (inCode) last[1].push(line);
    else if (last?.[0] === lineKind(line)) last[1].push(line);
    else blocks.push([lineKind(line), [line]]);
  }
  return blocks.filter(([kind]) => kind !== "gap");
}

function lineKind(line) {
  if (!line.trim()) return "gap";
  if (line.startsWith("#")) return "heading";
  if (line.startsWith("|")) return "table";
  return line.startsWith("- ") ? "list" : "text";
}

function renderBlock([kind, lines]) {
  if (kind === "heading") return lines.map(renderHeading);
  if (kind === "code") return html`<pre class="code" tabindex="0">${lines.join("\n")}</pre>`;
  if (kind === "table") return renderTable(lines);
  if (kind === "list") {
    return html`<ul>${lines.map((line) => html`<li>${renderInline(line.slice(2))}</li>`)}</ul>`;
  }
  return html`<p>${renderInline(lines.join(" "))}</p>`;
}

/** Start at h3: the page has the h1, and the panel around the text the h2. */
function renderHeading(line) {
  const text = renderInline(line.replace(/^#+\s*/, ""));
  return line.startsWith("##") ? html`<h4>${text}</h4>` : html`<h3>${text}</h3>`;
}

function renderTable([head, , ...rows]) {
  const splitCells = (line) => line.split("|").slice(1, -1).map((cell) => cell.trim());
  const renderHeader = (cell) =>
    cell ? html`<th scope="col">${renderInline(cell)}</th>` : html`<td></td>`;
  const renderRow = (line) => {
    const cells = splitCells(line).map((cell) => html`<td>${renderInline(cell)}</td>`);
    return html`<tr>${cells}</tr>`;
  };
  const label = `Table: ${splitCells(head).filter(Boolean).join(", ")}`;
  return html`<div class="table-box" tabindex="0" role="region" aria-label=${label}>
    <table class="rows">
      <thead><tr>${splitCells(head).map(renderHeader)}</tr></thead>
      <tbody>${rows.map(renderRow)}</tbody>
    </table>
  </div>`;
}

function renderInline(text) {
  return text.split(INLINE_MARKUP).map((part) => {
    if (part.startsWith("`")) return html`<code>${part.slice(1, -1)}</code>`;
    return part.startsWith("**") ? html`<strong>${part.slice(2, -2)}</strong>` : part;
  });
}
