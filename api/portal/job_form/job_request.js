/** The job request that the form edits. Unset fields are omitted, so that defaults apply. */

export const EMPTY_REQUEST = {
  name: "",
  dataset: {},
  teacher: null,
  student: { architecture: "", options: {} },
  method: { name: "dlkd_auto" },
  training: { epochs: 60 },
  baseline: true,
  export: ["safetensors", "onnx"],
  labels: {},
  resources: {},
};

const JOB_FIELDS = ["labels", "notes", "priority", "resources", "max_seconds", "name"];

/** Return the request for cloning a job: the job's spec and those of its fields to copy. */
export function requestFromJob(job) {
  const { spec } = job;
  const jobFields = Object.fromEntries(JOB_FIELDS.map((name) => [name, job[name] ?? null]));
  return {
    ...EMPTY_REQUEST,
    ...withoutNulls(spec),
    teacher: spec.teacher && withoutNulls(spec.teacher),
    baseline: spec.baseline ?? false,
    ...withoutNulls(jobFields),
    evaluation: spec.evaluation,
  };
}

/**
 * Return the body of POST /v1/jobs: the request without empty values. Without a teacher, there is
 * no baseline either, because the student itself learns from labels alone.
 */
export function requestBody(request) {
  const { teacher, baseline, ...fields } = request;
  const entries = Object.entries(fields).filter(([, value]) => !isEmpty(value));
  const body = Object.fromEntries(entries);
  return teacher ? { ...body, teacher, baseline } : body;
}

/** Return what the user must select before the service can check the request, or "". */
export function missingInput({ dataset, student, teacher, evaluation = [] }) {
  if (!dataset.id || !student.architecture) return "Select a dataset and a student architecture";
  if (teacher && !teacher.id && !teacher.model_id && !teacher.pretrained) {
    return "Select a teacher, or train without one";
  }
  const lacksDataset = evaluation.some(({ dataset: target }) => target && !target.id);
  return lacksDataset ? "Select the target dataset of the transfer evaluation" : "";
}

/** Return the JSON merge patch (RFC 7396) that turns `source` into `target`. */
export function mergePatch(source, target) {
  const patch = {};
  for (const name of new Set([...Object.keys(source), ...Object.keys(target)])) {
    const [before, after] = [source[name], target[name]];
    if (!(name in target)) patch[name] = null;
    else if (isObject(before) && isObject(after)) {
      const inner = mergePatch(before, after);
      if (Object.keys(inner).length) patch[name] = inner;
    } else if (JSON.stringify(before) !== JSON.stringify(after)) patch[name] = after;
  }
  return patch;
}

const isObject = (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value);

function isEmpty(value) {
  if (value === "" || value === null || value === undefined) return true;
  if (Array.isArray(value)) return !value.length;
  return isObject(value) && !Object.keys(value).length;
}

function withoutNulls(value) {
  if (!isObject(value)) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== null);
  return Object.fromEntries(entries.map(([name, item]) => [name, withoutNulls(item)]));
}
