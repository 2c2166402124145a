/** Where a model comes from: back from it through jobs, teachers and data sets to the first teacher; and the students that it taught. */
import { useGet } from "./fetched.js";
import { count, plain } from "./format.js";
import { Copy, Loaded, Panel, Tag } from "./parts.js";
import { html } from "./vendor/preact.js";

const KINDS = { model: "Model", job: "Job", teacher: "Teacher", dataset: "Data set", pretrained: "Published weights", import: "Bundle" };
const PAGES = { model: "models", job: "jobs", teacher: "teachers", dataset: "datasets" };
const RELATIONS = { made: "made by", imported: "came in", taught: "taught by", trained: "trained on", measured: "measured on" };
const SHOWN = ["version", "architecture", "parameters", "method", "attempt", "seed", "training_images", "steps", "precision", "device", "dlkd", "torch", "checked"];
const DIGESTS = ["run", "used_sha256", "sha256", "packed_sha256", "teacher_sha256"];

export function Lineage({ model }) {
  const graph = useGet(`/v1/models/${model.id}/lineage`);
  return html`<${Loaded} from=${graph}>${({ nodes, edges }) => {
    const known = new Map(nodes.map((node) => [node.id, node]));
    const students = studentsOf(model.id, edges, known);
    return html`<div class="stack">
      <${Panel} title="Where it comes from"><ul class="lineage"><${Step} id=${model.id} known=${known} edges=${edges} above=${[]} /></ul></${Panel}>
      <${Panel} title="Students that it taught">${students.length ? html`<ul class="lineage">${students.map((node) => html`<li><${Node} node=${node} /></li>`)}</ul>` : html`<p class="quiet">None yet. A job can take this model as its teacher.</p>`}</${Panel}>
    </div>`;
  }}</${Loaded}>`;
}

/** The jobs that it taught, each with the model that came of it. */
function studentsOf(id, edges, known) {
  const jobs = edges.filter((edge) => edge.source === id && edge.relation === "taught").map((edge) => edge.target);
  return edges.filter((edge) => edge.relation === "made" && jobs.includes(edge.source)).map((edge) => known.get(edge.target)).filter(Boolean);
}

/** A thing and, below it, what led to it. `above` are those that were met on the way: no circle is walked twice. */
function Step({ id, known, edges, above, relation }) {
  const given = above.includes(id) ? [] : edges.filter((edge) => edge.target === id);
  return html`<li><${Node} node=${known.get(id) ?? { id, kind: "model", name: "", facts: {} }} relation=${relation} />
    ${given.length > 0 && html`<ul>${given.map((edge) => html`<${Step} key=${edge.source} id=${edge.source} relation=${edge.relation} known=${known} edges=${edges} above=${[...above, id]} />`)}</ul>`}
  </li>`;
}

function Node({ node, relation }) {
  const page = node.deleted ? null : PAGES[node.kind];
  const name = node.name || node.id;
  const facts = SHOWN.filter((fact) => told(node.facts[fact]));
  const digests = DIGESTS.filter((fact) => told(node.facts[fact]));
  return html`<div class="node">
    <span class="kind">${relation ? `${RELATIONS[relation]} ${relation === "made" ? "the " : ""}${relation === "made" || relation === "imported" ? KINDS[node.kind].toLowerCase() : ""}` : KINDS[node.kind]}</span>
    <div>${page ? html`<a class="cell-main" href=${`#/${page}/${node.id}`}>${name}</a>` : html`<span class="cell-main">${name}</span>`}${node.deleted && html` <${Tag}>deleted</${Tag}>`}
      <span class="cell-sub">${facts.map((fact) => `${words(fact)} ${shown(fact, node.facts[fact])}`).join(" · ")}</span>
      ${digests.length > 0 && html`<details class="small"><summary>Digests</summary><dl class="facts">${digests.map((fact) => html`<dt>${words(fact)}</dt><dd><${Copy} text=${String(node.facts[fact])} /></dd>`)}</dl></details>`}
    </div>
  </div>`;
}

const told = (value) => value !== null && value !== undefined && value !== "";

const words = (fact) => fact.replaceAll("_", " ");

function shown(fact, value) {
  if (fact === "parameters") return count(value);
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "number" ? plain(value, 8) : String(value);
}
