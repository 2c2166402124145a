/** A teacher: what the check has found, and what can be done with it. */
import { Delete } from "../deletion.js";
import { useGet } from "../fetched.js";
import { bytes, plain, whole } from "../format.js";
import { Copy, Facts, Head, Loaded, Panel, Refusal, Status, Tag, When } from "../parts.js";
import { session } from "../session.js";
import { html } from "../vendor/preact.js";

export function Page({ id }) {
  const teacher = useGet(`/v1/teachers/${id}`, { every: 4000 });
  const students = useGet(`/v1/models?teacher=${id}&limit=50`);
  return html`<${Loaded} from=${teacher}>${(one) => html`
    <${Head} title=${one.name} crumbs=${[["Teachers", "#/teachers"]]} about=${html`<${Status} of=${one.status} /> <${Copy} text=${one.id} />`}>
      ${one.status === "ready" && session.reaches("submitter") && html`<a class="button primary" href=${`#/new?teacher=${one.id}`}>Distil it</a>`}
      ${session.reaches("submitter") && html`<${Delete} noun="teacher" place="/teachers" of=${one} text="Its file goes with it; models that it taught stay. Jobs that failed with it cannot be tried again. This cannot be undone." />`}
    </${Head}>
    <div class="stack">
      ${one.error && html`<${Refusal} problem=${one.error} />`}
      ${one.status === "validating" && html`<p class="notice"><span>A worker looks into the file. This page tells when it is done.</span></p>`}
      <${Panel} title="Found in the file"><${Facts} wide of=${facts(one)} /></${Panel}>
      <${Panel} title="Students"><${Students} of=${students.data?.items ?? []} /></${Panel}>
    </div>`}</${Loaded}>`;
}

const Students = ({ of: found }) => (found.length ? html`<div class="row">${found.map((model) => html`<a href=${`#/models/${model.id}`}><${Tag}>${model.name}@${model.version}</${Tag}></a>`)}</div>` : html`<p class="quiet">None yet.</p>`);

const numbers = (values) => values?.map((value) => plain(value, 3)).join(", ");

const facts = (one) => [
  ["Architecture", one.architecture ?? "–"],
  ["Parameters", whole(one.parameters)],
  ["Options", Object.keys(one.options).length ? Object.entries(one.options).map(([name, value]) => html`<${Tag}>${name}: ${String(value)}</${Tag}> `) : "–"],
  ["Classes", one.num_classes === 0 ? "no classifier: its features teach" : whole(one.num_classes)],
  ["Mean", numbers(one.normalization?.mean) ?? "found before each job"],
  ["Standard deviation", numbers(one.normalization?.std) ?? "found before each job"],
  ["Format", one.format],
  ["Size", bytes(one.size)],
  ["SHA-256", html`<code>${one.sha256}</code>`],
  ["Brought", html`<${When} at=${one.created_at} />`],
];
