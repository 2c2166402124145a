/** The form for a new job, built from the catalog's schemas. Also edits the clone of a job. */
import { get } from "../lib/api.js";
import { fetchRequestSchema, fetchVariants, resolveSchema } from "../lib/openapi.js";
import { ErrorNotice, PageHeader } from "../ui/components.js";
import { errorFinder } from "../ui/form_fields.js";
import { html, useEffect, useState } from "../vendor/preact.js";
import { EvaluationFields } from "./evaluation_fields.js";
import { DatasetFields, TeacherFields } from "./input_fields.js";
import { EMPTY_REQUEST, requestBody, requestFromJob } from "./job_request.js";
import { PlanPanel, usePlan } from "./plan_panel.js";
import {
  BaselineField, ExportFields, JobFields, MethodFields, StudentFields, TrainingFields,
} from "./spec_fields.js";

export function Page({ query }) {
  const [form, setForm] = useState({}); // the result of loadForm, or {error}
  useEffect(() => {
    setForm({});
    loadForm(query).then(setForm, (error) => setForm({ error }));
  }, [query.clone]);
  const about = query.clone
    ? "The form contains the original job's request. Change what you need."
    : "Distill a teacher into a small student model on your dataset.";
  return html`
    <${PageHeader} title=${query.clone ? "Clone job" : "New job"}
      breadcrumbs=${[["Jobs", "#/jobs"]]} about=${about} />
    ${form.error && html`<${ErrorNotice} error=${form.error} />`}
    ${form.catalog && html`<${JobForm} key=${query.clone} ...${form} clonedId=${query.clone} />`}`;
}

/** Load the catalog, the schemas, and the request that the form starts with. */
async function loadForm({ clone, teacher, teacher_model: modelId, dataset }) {
  const [catalog, job, schemas] = await Promise.all([
    get("/v1/catalog"), clone ? get(`/v1/jobs/${clone}`) : null, loadSchemas(),
  ]);
  const preselected = modelId ? { model_id: modelId } : {};
  const newRequest = {
    ...EMPTY_REQUEST,
    teacher: teacher ? { id: teacher } : preselected,
    dataset: dataset ? { id: dataset } : {},
  };
  return {
    catalog: { ...catalog, allArchitectures: listArchitectures(catalog) },
    schemas,
    initialRequest: job ? requestFromJob(job) : newRequest,
  };
}

async function loadSchemas() {
  const job = await fetchRequestSchema("/v1/jobs");
  const training = await resolveSchema(job.properties.training);
  return {
    job,
    training,
    schedule: await resolveSchema(training.properties.schedule),
    resources: await resolveSchema(job.properties.resources),
    protocols: await fetchVariants(job.properties.evaluation),
    maxProtocols: job.properties.evaluation.maxItems,
  };
}

/** Return all architectures in one list. The catalog has those of timm as a table. */
function listArchitectures({ architectures, timm }) {
  const fromTimm = timm.rows.map((row) => {
    const entry = Object.fromEntries(timm.columns.map((column, index) => [column, row[index]]));
    return { ...entry, family: "timm", schema: entry.image_size ? timm.image_size_schema : null };
  });
  return [...architectures, ...fromTimm];
}

function JobForm({ catalog, schemas, initialRequest, clonedId }) {
  const [request, setRequest] = useState(initialRequest);
  const selected = catalog.methods.find(({ name }) => name === request.method.name);
  const canHaveBaseline = request.teacher !== null && selected?.trains_classifier;
  const submitted = { ...request, baseline: Boolean(request.baseline && canHaveBaseline) };
  const planState = usePlan(submitted);
  const { plan, error } = planState;
  const errorFor = errorFinder([...(plan?.problems ?? []), ...(error?.fieldErrors ?? [])]);
  const fieldProps = (name) => ({
    value: request[name],
    onChange: (value) => setRequest((old) => ({ ...old, [name]: value })),
    errorFor,
    catalog,
    schemas,
  });
  const setTeacher = (teacher) =>
    setRequest((old) => {
      const method = catalog.methods.find(({ name }) => name === old.method.name);
      if (method?.needs_teacher === (teacher !== null)) return { ...old, teacher };
      return { ...old, teacher, method: { name: teacher ? "dlkd_auto" : "plain" } };
    });
  return html`<form class="grid-side" onSubmit=${(event) => event.preventDefault()} novalidate>
    <div class="stack">
      <${DatasetFields} ...${fieldProps("dataset")} />
      <${TeacherFields} ...${fieldProps("teacher")} onChange=${setTeacher} />
      <${StudentFields} ...${fieldProps("student")} hasTeacher=${request.teacher !== null} />
      <${MethodFields} ...${fieldProps("method")} hasTeacher=${request.teacher !== null} />
      <${TrainingFields} ...${fieldProps("training")} />
      ${canHaveBaseline && html`<${BaselineField} ...${fieldProps("baseline")} />`}
      <${ExportFields} ...${fieldProps("export")} />
      <${EvaluationFields} ...${fieldProps("evaluation")} value=${request.evaluation ?? []} />
      <${JobFields} ...${fieldProps("job")} value=${request} onChange=${setRequest} />
    </div>
    <${PlanPanel} request=${submitted} planState=${planState}
      originalBody=${requestBody(initialRequest)} clonedId=${clonedId} />
  </form>`;
}
