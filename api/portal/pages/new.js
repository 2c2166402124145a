/** A job to submit, made from the catalog's schemas; also a clone with changes. */
import { get } from "../api.js";
import { Head, Refusal } from "../parts.js";
import { kindsOf, schemaOf } from "../schema.js";
import { Evaluations } from "../submit/evaluations.js";
import { Data, Teacher } from "../submit/inputs.js";
import { Plan, usePlan, wrongIn } from "../submit/plan.js";
import { Envelope, Files, Method, Student, Training } from "../submit/recipe.js";
import { bodyOf, EMPTY, ofJob } from "../submit/request.js";
import { html, useEffect, useState } from "../vendor/preact.js";

const SCHEMAS = ["TrainingSpec", "Schedule", "Resources", "JobRequest"];

export function Page({ query }) {
  const [ready, set] = useState({});
  useEffect(() => {
    set({});
    begin(query).then(set, (problem) => set({ problem }));
  }, [query.clone]);
  const title = query.clone ? "Clone a job" : "New job";
  return html`<${Head} title=${title} crumbs=${[["Jobs", "#/jobs"]]} about=${query.clone ? "The same request; change what you like." : "A teacher, a student and images in; a small model out."} />
    ${ready.problem && html`<${Refusal} problem=${ready.problem} />`}
    ${ready.catalog && html`<${Form} key=${query.clone} ...${ready} cloned=${query.clone} />`}`;
}

/** Catalog, schemas, and the request that the form begins with. */
async function begin({ clone, teacher, teacher_model: model, dataset }) {
  const [catalog, job, ...schemas] = await Promise.all([get("/v1/catalog"), clone ? get(`/v1/jobs/${clone}`) : null, ...SCHEMAS.map(schemaOf)]);
  const named = Object.fromEntries(SCHEMAS.map((name, place) => [name, schemas[place]]));
  const protocols = named.JobRequest.properties.evaluation;
  const fresh = { ...EMPTY, teacher: teacher ? { id: teacher } : model ? { model_id: model } : {}, dataset: dataset ? { id: dataset } : {} };
  return { catalog: { ...catalog, names: namesOf(catalog) }, schemas: named, protocols: { kinds: await kindsOf(protocols), most: protocols.maxItems }, first: job ? ofJob(job) : fresh };
}

/** All architectures in one list: the catalog has timm's thousand as a table. */
function namesOf({ architectures, timm }) {
  const rows = timm.rows.map((row) => Object.fromEntries(timm.columns.map((column, place) => [column, row[place]])));
  return [...architectures, ...rows.map((row) => ({ ...row, family: "timm", schema: row.image_size ? timm.image_size_schema : null }))];
}

function Form({ catalog, schemas, protocols, first, cloned }) {
  const [request, setRequest] = useState(first);
  const state = usePlan(request);
  const wrong = wrongIn(state);
  const change = (name) => (value) => setRequest((old) => ({ ...old, [name]: value }));
  const teach = (teacher) =>
    setRequest((old) => {
      const fits = catalog.methods.find((one) => one.name === old.method.name)?.needs_teacher === (teacher !== null);
      return { ...old, teacher, method: fits ? old.method : { name: teacher ? "dlkd" : "plain" } };
    });
  return html`<form class="grid-side" onSubmit=${(event) => event.preventDefault()} novalidate>
    <div class="stack">
      <${Data} value=${request.dataset} change=${change("dataset")} wrong=${wrong} />
      <${Teacher} value=${request.teacher} change=${teach} wrong=${wrong} catalog=${catalog} />
      <${Student} value=${request.student} change=${change("student")} wrong=${wrong} catalog=${catalog} />
      <${Method} value=${request.method} change=${change("method")} wrong=${wrong} catalog=${catalog} taught=${request.teacher !== null} />
      <${Training} value=${request.training} change=${change("training")} wrong=${wrong} schemas=${schemas} />
      <${Files} value=${request.export} change=${change("export")} wrong=${wrong} catalog=${catalog} />
      <${Evaluations} value=${request.evaluation ?? []} change=${change("evaluation")} wrong=${wrong} catalog=${catalog} ...${protocols} />
      <${Envelope} value=${request} change=${setRequest} wrong=${wrong} schemas=${schemas} />
    </div>
    <${Plan} request=${request} state=${state} original=${bodyOf(first)} cloned=${cloned} />
  </form>`;
}
