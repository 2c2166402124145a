/**
 * Markdown as the service's cards use it: headings, paragraphs, lists, tables, code, bold. It becomes elements, never HTML text: what
 * somebody wrote into a name stays text.
 */
import { html } from "./vendor/preact.js";

const INLINE = /(`[^`]+`|\*\*[^*]+\*\*)/;

export const Markdown = ({ text }) => html`<div class="prose">${blocks(text.split("\n")).map(drawn)}</div>`;

/** Consecutive lines of one kind: [kind, lines]. */
function blocks(lines) {
  const found = [];
  let fenced = false;
  for (const line of lines) {
    const last = found.at(-1);
    if (line.startsWith("```")) {
      fenced = !fenced;
      if (fenced) found.push(["code", []]);
      else found.push(["gap", []]);
    } else if (fenced) last[1].push(line);
    else if (last?.[0] === kind(line)) last[1].push(line);
    else found.push([kind(line), [line]]);
  }
  return found.filter(([name]) => name !== "gap");
}

function kind(line) {
  if (!line.trim()) return "gap";
  if (line.startsWith("#")) return "heading";
  if (line.startsWith("|")) return "table";
  return line.startsWith("- ") ? "list" : "text";
}

function drawn([name, lines]) {
  if (name === "heading") return lines.map(heading);
  if (name === "code") return html`<pre class="code" tabindex="0">${lines.join("\n")}</pre>`;
  if (name === "list") return html`<ul>${lines.map((line) => html`<li>${inline(line.slice(2))}</li>`)}</ul>`;
  if (name === "table") return table(lines);
  return html`<p>${inline(lines.join(" "))}</p>`;
}

/** One step below: the page has its own first heading, and the panel its second. */
function heading(line) {
  const words = inline(line.replace(/^#+\s*/, ""));
  return line.startsWith("##") ? html`<h4>${words}</h4>` : html`<h3>${words}</h3>`;
}

function table([head, , ...rows]) {
  const cells = (line) => line.split("|").slice(1, -1).map((cell) => cell.trim());
  return html`<div class="table-box" tabindex="0" role="region" aria-label=${`Table: ${cells(head).filter(Boolean).join(", ")}`}><table class="rows">
    <thead><tr>${cells(head).map((cell) => (cell ? html`<th scope="col">${inline(cell)}</th>` : html`<td></td>`))}</tr></thead>
    <tbody>${rows.map((line) => html`<tr>${cells(line).map((cell) => html`<td>${inline(cell)}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

function inline(text) {
  return text.split(INLINE).map((part) => {
    if (part.startsWith("`")) return html`<code>${part.slice(1, -1)}</code>`;
    return part.startsWith("**") ? html`<strong>${part.slice(2, -2)}</strong>` : part;
  });
}
