/** A job request as the form holds it: what was said and nothing else, so that defaults stay the service's. */

export const EMPTY = { name: "", dataset: {}, teacher: null, student: { architecture: "", options: {} }, method: { name: "dlkd" }, training: { epochs: 60 }, export: ["safetensors", "onnx"], labels: {}, resources: {} };

const ENVELOPE = ["labels", "notes", "priority", "resources", "max_seconds", "name"];

/** The form of a job that is to be cloned: its spec and envelope. */
export function ofJob(job) {
  const kept = Object.fromEntries(ENVELOPE.filter((name) => job[name] !== null && job[name] !== undefined).map((name) => [name, job[name]]));
  return { ...EMPTY, ...withoutNulls(job.spec), teacher: job.spec.teacher && withoutNulls(job.spec.teacher), ...withoutNulls(kept), evaluation: job.spec.evaluation };
}

/** The body of POST /v1/jobs. */
export function bodyOf(request) {
  const { teacher, ...rest } = request;
  const body = Object.fromEntries(Object.entries(rest).filter(([, value]) => !isEmpty(value)));
  return teacher ? { ...body, teacher } : body;
}

/** What must be picked before the service can judge it, in words; "" where enough is said. */
export function missing({ dataset, student, teacher, evaluation = [] }) {
  if (!dataset.id || !student.architecture) return "Pick a data set and a student";
  if (teacher && !teacher.id && !teacher.model_id && !teacher.pretrained) return "Pick a teacher, or none";
  return evaluation.some((one) => one.dataset && !one.dataset.id) ? "Pick the data set to transfer to" : "";
}

/** What turns `from` into `to` as a JSON merge patch (RFC 7396). */
export function patchOf(from, to) {
  const patch = {};
  for (const name of new Set([...Object.keys(from), ...Object.keys(to)])) {
    if (!(name in to)) patch[name] = null;
    else if (isObject(from[name]) && isObject(to[name])) {
      const inner = patchOf(from[name], to[name]);
      if (Object.keys(inner).length) patch[name] = inner;
    } else if (JSON.stringify(from[name]) !== JSON.stringify(to[name])) patch[name] = to[name];
  }
  return patch;
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

const isEmpty = (value) => value === "" || value === null || value === undefined || (Array.isArray(value) && !value.length) || (isObject(value) && !Object.keys(value).length);

function withoutNulls(value) {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== null).map(([name, one]) => [name, withoutNulls(one)]));
}
