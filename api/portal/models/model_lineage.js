/** A model's lineage: the jobs, teachers and datasets that led to it, and its students. */
import { formatCount, formatNumber, isMissing } from "../lib/format.js";
import { useFetch } from "../lib/hooks.js";
import { resourceUrl } from "../lib/router.js";
import { AsyncContent, CopyButton, Panel, Tag } from "../ui/components.js";
import { html } from "../vendor/preact.js";

const NODE_LABELS = {
  model: "Model",
  job: "Job",
  teacher: "Teacher",
  dataset: "Dataset",
  pretrained: "Pretrained weights",
  import: "Bundle",
};
const RELATION_LABELS = {
  made: "created by job",
  imported: "imported from bundle",
  taught: "taught by",
  trained: "trained on",
  measured: "evaluated on",
};
const SUMMARY_FACTS = [
  "version", "architecture", "parameters", "method", "attempt", "seed", "training_images", "steps",
  "precision", "device", "dlkd", "torch", "checked",
];
const DIGEST_FACTS = ["run", "used_sha256", "sha256", "packed_sha256", "teacher_sha256"];

export function ModelLineage({ model }) {
  const lineage = useFetch(`/v1/models/${model.id}/lineage`);
  return html`<${AsyncContent} query=${lineage}>${({ nodes, edges }) => {
    const nodesById = new Map(nodes.map((node) => [node.id, node]));
    const students = findStudents(model.id, edges, nodesById);
    const items = students.map((node) => html`<li><${LineageNode} node=${node} /></li>`);
    return html`<div class="stack">
      <${Panel} title="Origin"><ul class="lineage">
        <${LineageStep} id=${model.id} nodesById=${nodesById} edges=${edges} ancestors=${[]} />
      </ul></${Panel}>
      <${Panel} title="Students">
        ${items.length
          ? html`<ul class="lineage">${items}</ul>`
          : html`<p class="muted">
              No students yet. You can use this model as the teacher of a job.
            </p>`}
      </${Panel}>
    </div>`;
  }}</${AsyncContent}>`;
}

/** Return the models created by the jobs in which this model was the teacher. */
function findStudents(id, edges, nodesById) {
  const taught = edges.filter((edge) => edge.source === id && edge.relation === "taught");
  const jobIds = new Set(taught.map((edge) => edge.target));
  const created = edges.filter((edge) => edge.relation === "made" && jobIds.has(edge.source));
  return created.map((edge) => nodesById.get(edge.target)).filter(Boolean);
}

/** A node with its sources below it. `ancestors` are the ids already shown, to stop at cycles. */
function LineageStep({ id, nodesById, edges, ancestors, relation }) {
  const sources = ancestors.includes(id) ? [] : edges.filter((edge) => edge.target === id);
  const node = nodesById.get(id) ?? { id, kind: "model", name: "", facts: {} };
  const steps = sources.map((edge) => html`<${LineageStep} key=${edge.source} id=${edge.source}
    relation=${edge.relation} nodesById=${nodesById} edges=${edges}
    ancestors=${[...ancestors, id]} />`);
  return html`<li>
    <${LineageNode} node=${node} relation=${relation} />
    ${steps.length > 0 && html`<ul>${steps}</ul>`}
  </li>`;
}

function LineageNode({ node, relation }) {
  const name = node.name || node.id;
  const url = node.deleted ? null : resourceUrl(node.kind, node.id);
  const isPresent = (fact) => !isMissing(node.facts[fact]) && node.facts[fact] !== "";
  const facts = SUMMARY_FACTS.filter(isPresent).map(
    (fact) => `${factLabel(fact)} ${formatFact(fact, node.facts[fact])}`,
  );
  const digests = DIGEST_FACTS.filter(isPresent).map((fact) => html`<dt>${factLabel(fact)}</dt>
    <dd><${CopyButton} text=${String(node.facts[fact])} /></dd>`);
  return html`<div class="node">
    <span class="kind">${relation ? RELATION_LABELS[relation] : NODE_LABELS[node.kind]}</span>
    <div>
      ${url
        ? html`<a class="cell-main" href=${url}>${name}</a>`
        : html`<span class="cell-main">${name}</span>`}
      ${node.deleted && html` <${Tag}>deleted</${Tag}>`}
      <span class="cell-sub">${facts.join(" · ")}</span>
      ${digests.length > 0 && html`<details class="small">
        <summary>Digests</summary><dl class="facts">${digests}</dl>
      </details>`}
    </div>
  </div>`;
}

const factLabel = (fact) => fact.replaceAll("_", " ");

function formatFact(fact, value) {
  if (fact === "parameters") return formatCount(value);
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "number" ? formatNumber(value, 8) : String(value);
}
