/** A job: its progress, metrics, history and configuration. */
import { subscribe } from "../lib/api.js";
import {
  formatDuration, formatElapsed, formatInteger, formatNumber, formatPercent, isMissing,
  MISSING_TEXT,
} from "../lib/format.js";
import { useFetch } from "../lib/hooks.js";
import { resourceUrl, updateQuery } from "../lib/router.js";
import {
  AsyncContent, CopyButton, DescriptionList, PageHeader, Panel, RelativeTime, StatTiles,
  StatusBadge, Tabs, TagList, Warnings,
} from "../ui/components.js";
import { html, useEffect, useState } from "../vendor/preact.js";
import { JobActions } from "./job_actions.js";
import { JobCharts } from "./job_charts.js";
import { JobAttempts, JobEvents, JobLogs, JobSpec } from "./job_history.js";
import {
  hasEnded, isActive, JobProgressBar, jobPhases, JobStatus, jobWarnings, PHASE_LABELS,
  verifiedTeacher,
} from "./job_status.js";

const EVENT_TYPES = [
  "status", "phase", "notice", "teacher", "checkpoint", "file", "failed", "attempt", "control",
  "change",
];
const TABS = [
  ["curves", "Metrics"], ["events", "Events"], ["logs", "Logs"], ["attempts", "Attempts"],
  ["spec", "Spec"],
];
const DEFAULT_TAB = "curves";

export function Page({ id, query }) {
  const [isPolling, setIsPolling] = useState(true);
  const jobQuery = useFetch(`/v1/jobs/${id}`, { intervalMs: isPolling ? 1500 : 0 });
  const events = useJobEvents(id, jobQuery);
  useEffect(() => {
    if (jobQuery.data) setIsPolling(isActive(jobQuery.data));
  }, [jobQuery.data?.status]);
  const tab = TABS.some(([name]) => name === query.tab) ? query.tab : DEFAULT_TAB;
  const selectTab = (name) => updateQuery({ tab: name === DEFAULT_TAB ? "" : name });
  const teacher = verifiedTeacher(events);
  return html`<${AsyncContent} query=${jobQuery}>${(job) => html`
    <${PageHeader} title=${job.name || job.id} breadcrumbs=${[["Jobs", "#/jobs"]]}
      about=${html`<${StatusBadge} status=${job.status} /> <${CopyButton} text=${job.id} />`}>
      <${JobActions} job=${job} onUpdate=${jobQuery.setData} />
    </${PageHeader}>
    <div class="stack">
      <${JobError} job=${job} />
      <${Warnings} texts=${jobWarnings(events)} />
      <${ProgressPanel} job=${job} />
      <${JobTiles} job=${job} teacher=${teacher} />
      <${Tabs} label="Job details" tabs=${TABS} value=${tab} onSelect=${selectTab}>
        ${tab === "curves" && html`<${JobCharts} job=${job} teacher=${teacher} />`}
        ${tab === "events" && html`<${JobEvents} events=${events} />`}
        ${tab === "logs" && html`<${JobLogs} job=${job} />`}
        ${tab === "attempts" && html`<${JobAttempts} job=${job} />`}
        ${tab === "spec" && html`<${JobSpec} job=${job} />`}
      </${Tabs}>
      <${JobFacts} job=${job} />
    </div>`}</${AsyncContent}>`;
}

/** Return the job's events as they happen. A status event also reloads the job. */
function useJobEvents(id, jobQuery) {
  const [events, setEvents] = useState([]);
  useEffect(() => {
    const addEvent = (event) => {
      setEvents((old) => (old.some((other) => other.id === event.id) ? old : [...old, event]));
      if (event.type === "status") jobQuery.reload();
    };
    return subscribe(`/v1/jobs/${id}/events`, EVENT_TYPES, addEvent);
  }, [id]);
  return events;
}

function JobError({ job: { error, status } }) {
  if (!error) return null;
  const facts = [
    error.code,
    error.class && `${error.class} error`,
    error.attempt && `attempt ${error.attempt}`,
  ];
  const tone = status === JobStatus.FAILED ? "bad" : "warn";
  return html`<section class="notice ${tone}" aria-label="Error"><div>
    <strong>${error.message}</strong>
    ${error.hint && html`<p>${error.hint}</p>`}
    <p class="small muted">${facts.filter(Boolean).join(" · ")}</p>
  </div></section>`;
}

function ProgressPanel({ job }) {
  const { fraction, phase } = job.progress;
  const phases = jobPhases(job).map((name) => {
    const current = name === phase && !hasEnded(job) ? "step" : undefined;
    return html`<li class=${isPhaseDone(job, name) ? "done" : ""} aria-current=${current}>
      ${PHASE_LABELS[name]}
    </li>`;
  });
  return html`<section class="panel progress-panel" aria-label="Progress"><div class="body">
    <div class="head">
      <strong>${formatPercent(fraction, 0)}</strong>
      <span class="muted">${waitingText(job)}</span>
    </div>
    <${JobProgressBar} job=${job} />
    <ol class="phases" aria-label="Phases">${phases}</ol>
  </div></section>`;
}

function waitingText(job) {
  if (job.waiting_for) return `Waiting for ${job.waiting_for}`;
  if (job.status === JobStatus.QUEUED) return "Waiting in the queue";
  const eta = job.progress.eta_seconds;
  return eta && !hasEnded(job) ? `About ${formatDuration(eta)} left` : "";
}

function isPhaseDone(job, phase) {
  const phases = jobPhases(job);
  return job.status === JobStatus.SUCCEEDED
    || phases.indexOf(phase) < phases.indexOf(job.progress.phase);
}

function JobTiles({ job, teacher }) {
  const { epoch, epochs, step, steps, images_per_second: throughput } = job.progress;
  const modelLink = job.model_id && html`<a href=${resourceUrl("model", job.model_id)}>Open</a>`;
  return html`<${StatTiles} items=${[
    ["Epoch", epoch ? `${formatInteger(epoch)} of ${formatInteger(epochs)}` : MISSING_TEXT],
    ["Step", step ? formatInteger(step) : MISSING_TEXT, steps && `of ${formatInteger(steps)}`],
    ["Images per second", throughput ? formatInteger(throughput) : MISSING_TEXT],
    [
      "Duration",
      formatElapsed(job.started_at, job.finished_at),
      job.started_at ? "since the first start" : "not started yet",
    ],
    ["Teacher", formatPercent(teacher?.top1), teacherNote(job, teacher)],
    [
      "Model",
      modelLink || MISSING_TEXT,
      job.model_id ? "created by this job" : "available on success",
    ],
  ]} />`;
}

function teacherNote(job, teacher) {
  if (teacher) return `${teacher.architecture}, ${formatInteger(teacher.images)} images`;
  if (!job.spec.teacher) return "labels only";
  return hasEnded(job) ? "not verified" : "not verified yet";
}

const ResourceLink = ({ kind, id }) =>
  html`<a class="mono" href=${resourceUrl(kind, id)}>${id}</a>`;

function JobFacts({ job }) {
  const { spec } = job;
  const { training, student, method } = spec;
  const options = [
    ["batch size", training.batch_size, formatInteger],
    ["learning rate", training.learning_rate, formatNumber],
  ].map(([name, value, format]) => `${name} ${isMissing(value) ? "automatic" : format(value)}`);
  const { device, gpus, memory_gb: memory } = job.resources;
  const resources = [device, gpus > 1 && `${gpus} GPUs`, memory && `${memory} GiB`];
  const labels = Object.entries(job.labels).map(([key, value]) => `${key}: ${value}`);
  const source = job.cloned_from;
  return html`<${Panel} title="Details"><${DescriptionList} wide items=${[
    ["Student", student.architecture],
    ["Method", method.name],
    ["Teacher", renderTeacher(job)],
    ["Dataset", job.dataset_id && html`<${ResourceLink} kind="dataset" id=${job.dataset_id} />`],
    ["Baseline", spec.baseline ? "Yes, the student trained on labels alone" : null],
    ["Epochs", `${formatInteger(training.epochs)} (${options.join(", ")})`],
    ["Resources", resources.filter(Boolean).join(", ")],
    ["Priority", formatInteger(job.priority)],
    ["Labels", labels.length ? html`<${TagList} tags=${labels} />` : null],
    ["Notes", job.notes || null],
    ["Owner", html`<span class="mono">${job.owner}</span>`],
    ["Submitted", html`<${RelativeTime} time=${job.created_at} />`],
    ["Expires", job.expires_at && html`<${RelativeTime} time=${job.expires_at} />`],
    ["Cloned from", source && html`<${ResourceLink} kind="job" id=${source} />`],
  ]} /></${Panel}>`;
}

function renderTeacher({ spec, teacher_id: uploadedId }) {
  if (!spec.teacher) return "None (labels only)";
  if (spec.teacher.pretrained) return `Pretrained weights of ${spec.teacher.pretrained}`;
  if (uploadedId) return html`<${ResourceLink} kind="teacher" id=${uploadedId} />`;
  const modelId = spec.teacher.model_id;
  return modelId && html`<${ResourceLink} kind="model" id=${modelId} />`;
}
