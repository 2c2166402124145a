/** Statuses and phases of jobs, and how pages show them. */
import { ProgressBar, statusTone } from "../ui/components.js";
import { html } from "../vendor/preact.js";

export const JobStatus = Object.freeze({
  VALIDATING: "validating",
  QUEUED: "queued",
  STARTING: "starting",
  RUNNING: "running",
  EXPORTING: "exporting",
  PAUSING: "pausing",
  PAUSED: "paused",
  CANCELLING: "cancelling",
  SUCCEEDED: "succeeded",
  FAILED: "failed",
  CANCELLED: "cancelled",
  EXPIRED: "expired",
});

const { VALIDATING, QUEUED, STARTING, RUNNING, EXPORTING } = JobStatus;
const { PAUSING, PAUSED, CANCELLING, SUCCEEDED, FAILED, CANCELLED, EXPIRED } = JobStatus;

const TERMINAL_STATUSES = new Set([SUCCEEDED, FAILED, CANCELLED, EXPIRED]);
const PAUSABLE_STATUSES = new Set([QUEUED, STARTING, RUNNING, EXPORTING]);
const RETRIABLE_STATUSES = new Set([FAILED, CANCELLED, EXPIRED]);

/** Filters of the job list: {query value: [label, statuses]}. */
export const STATUS_FILTERS = {
  all: ["All", []],
  active: [
    "Active", [VALIDATING, QUEUED, STARTING, RUNNING, EXPORTING, CANCELLING, PAUSING],
  ],
  paused: ["Paused", [PAUSED]],
  succeeded: ["Succeeded", [SUCCEEDED]],
  ended: ["Failed or canceled", [FAILED, CANCELLED, EXPIRED]],
};

/** Phases of a run, in order, with the text that users see. */
export const PHASE_LABELS = {
  reading: "reading data",
  proving: "verifying teacher",
  training: "training",
  baseline: "training the baseline",
  evaluating: "evaluating",
  exporting: "exporting",
};

/** Return the phases of a job in their order. Only some jobs train a baseline. */
export const jobPhases = (job) =>
  Object.keys(PHASE_LABELS).filter((phase) => phase !== "baseline" || job.spec.baseline);

export const phaseLabel = (phase) => PHASE_LABELS[phase] ?? phase;

export const hasEnded = (job) => TERMINAL_STATUSES.has(job.status);

/** Return whether the job changes without the user: it has neither ended nor paused. */
export const isActive = (job) => !hasEnded(job) && job.status !== PAUSED;

export const isPausable = (job) => PAUSABLE_STATUSES.has(job.status);

export const isRetriable = (job) => RETRIABLE_STATUSES.has(job.status);

export const JobProgressBar = ({ job }) => html`<${ProgressBar} fraction=${job.progress.fraction}
  tone=${statusTone(job.status)} label=${`Progress of ${job.name || job.id}`} />`;

/** Return the texts of the warnings among the job's events. Each attempt repeats them. */
export function jobWarnings(events) {
  const warnings = events.filter(({ type, data }) => type === "notice" && data.level === "warning");
  return [...new Set(warnings.map(({ data }) => data.message))];
}

/** Return the teacher as verified before training, from the job's events, or null. */
export function verifiedTeacher(events) {
  const teacher = events.findLast((event) => event.type === "teacher")?.data;
  return teacher ? { ...teacher, top1: teacher.top1 ?? teacher.knn_top1 } : null;
}
