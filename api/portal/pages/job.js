/** A job: what it does now, its curves, and everything that is known about it. */
import { follow } from "../api.js";
import { useGet } from "../fetched.js";
import { Controls } from "../job_controls.js";
import { Curves } from "../job_curves.js";
import { Attempts, Events, Logs, Spec } from "../job_history.js";
import { hasEnded, isActive, JobProgress, teacherOf } from "../job_parts.js";
import { between, duration, percent, plain, whole } from "../format.js";
import { Copy, Facts, Head, Loaded, Panel, Status, Tabs, Tag, Tiles, When } from "../parts.js";
import { refine } from "../router.js";
import { html, useEffect, useState } from "../vendor/preact.js";

const TYPES = ["status", "phase", "notice", "teacher", "checkpoint", "file", "failed", "attempt", "control", "change"];
const TABS = [["curves", "Curves"], ["events", "Events"], ["logs", "Logs"], ["attempts", "Attempts"], ["spec", "Spec"]];
const PHASES = ["reading", "proving", "training", "evaluating", "exporting"];

export function Page({ id, query }) {
  const [moving, setMoving] = useState(true);
  const job = useGet(`/v1/jobs/${id}`, { every: moving ? 1500 : 0 });
  const events = useEvents(id, job);
  useEffect(() => {
    if (job.data) setMoving(isActive(job.data));
  }, [job.data?.status]);
  const tab = TABS.some(([name]) => name === query.tab) ? query.tab : "curves";
  return html`<${Loaded} from=${job}>${(found) => html`
    <${Head} title=${found.name || found.id} crumbs=${[["Jobs", "#/jobs"]]} about=${html`<${Status} of=${found.status} /> <${Copy} text=${found.id} />`}>
      <${Controls} job=${found} changed=${job.set} />
    </${Head}>
    <div class="stack">
      <${Failure} job=${found} />
      <${Progress} job=${found} />
      <${Numbers} job=${found} teacher=${teacherOf(events)} />
      <${Tabs} label="About this job" tabs=${TABS} value=${tab} pick=${(name) => refine({ tab: name === "curves" ? "" : name })}>
        ${tab === "curves" && html`<${Curves} job=${found} teacher=${teacherOf(events)} />`}
        ${tab === "events" && html`<${Events} events=${events} />`}
        ${tab === "logs" && html`<${Logs} job=${found} />`}
        ${tab === "attempts" && html`<${Attempts} job=${found} />`}
        ${tab === "spec" && html`<${Spec} job=${found} />`}
      </${Tabs}>
      <${About} job=${found} />
    </div>`}</${Loaded}>`;
}

/** The events of the job, as they happen; each of them has the job itself asked for again. */
function useEvents(id, job) {
  const [events, set] = useState([]);
  useEffect(() => {
    const heard = (event) => {
      set((old) => (old.some((one) => one.id === event.id) ? old : [...old, event]));
      if (event.type === "status") job.reload();
    };
    return follow(`/v1/jobs/${id}/events`, TYPES, heard);
  }, [id]);
  return events;
}

const Failure = ({ job }) =>
  job.error &&
  html`<section class="notice ${job.status === "failed" ? "bad" : "warn"}" aria-label="Why it failed"><div>
    <strong>${job.error.message}</strong>
    ${job.error.hint && html`<p>${job.error.hint}</p>`}
    <p class="small quiet">${[job.error.code, job.error.class && `${job.error.class} error`, job.error.attempt && `attempt ${job.error.attempt}`].filter(Boolean).join(" · ")}</p>
  </div></section>`;

function Progress({ job }) {
  const { fraction, phase, eta_seconds: eta } = job.progress;
  const words = job.waiting_for ? `Waits for ${job.waiting_for}` : job.status === "queued" ? "Waits for its turn" : eta && !hasEnded(job) ? `About ${duration(eta)} left` : "";
  return html`<section class="panel progress-panel" aria-label="Progress"><div class="body">
    <div class="head"><strong>${percent(fraction, 0)}</strong><span class="quiet">${words}</span></div>
    <${JobProgress} job=${job} />
    <ol class="phases" aria-label="Phases">${PHASES.map((name) => html`<li class=${passed(job, name) ? "done" : ""} aria-current=${name === phase && !hasEnded(job) ? "step" : undefined}>${name}</li>`)}</ol>
  </div></section>`;
}

const passed = (job, name) => job.status === "succeeded" || PHASES.indexOf(name) < PHASES.indexOf(job.progress.phase);

function Numbers({ job, teacher }) {
  const { epoch, epochs, step, steps, images_per_second: pace } = job.progress;
  return html`<${Tiles} of=${[
    ["Epoch", epoch ? `${whole(epoch)} of ${whole(epochs)}` : "–"],
    ["Step", step ? whole(step) : "–", steps && `of ${whole(steps)}`],
    ["Images a second", pace ? whole(pace) : "–"],
    ["Time", between(job.started_at, job.finished_at), job.started_at ? "since it first started" : "not started yet"],
    ["Teacher", teacher ? percent(teacher.top1) : "–", teacher ? `${teacher.architecture}, ${whole(teacher.images)} images` : job.spec.teacher ? (hasEnded(job) ? "not proved" : "not proved yet") : "labels alone"],
    ["Model", job.model_id ? html`<a href=${`#/models/${job.model_id}`}>Open</a>` : "–", job.model_id ? "made by this job" : "when it has succeeded"],
  ]} />`;
}

const link = (kind, id) => id && html`<a class="mono" href=${`#/${kind}/${id}`}>${id}</a>`;

const About = ({ job }) => html`<${Panel} title="About"><${Facts} wide of=${[
  ["Student", html`${job.spec.student.architecture}`],
  ["Method", job.spec.method.name],
  ["Teacher", teacherName(job)],
  ["Data set", link("datasets", job.dataset_id)],
  ["Epochs", `${whole(job.spec.training.epochs)}, batches of ${whole(job.spec.training.batch_size)}, learning rate ${plain(job.spec.training.learning_rate)}`],
  ["Needs", [job.resources.device, job.resources.gpus > 1 && `${job.resources.gpus} GPUs`, job.resources.memory_gb && `${job.resources.memory_gb} GiB`].filter(Boolean).join(", ")],
  ["Priority", whole(job.priority)],
  ["Labels", Object.entries(job.labels).map(([key, value]) => html`<${Tag}>${key}: ${value}</${Tag}> `)],
  ["Notes", job.notes || "–"],
  ["Owner", html`<span class="mono">${job.owner}</span>`],
  ["Submitted", html`<${When} at=${job.created_at} />`],
  ["Ends by", job.expires_at && html`<${When} at=${job.expires_at} />`],
  ["Cloned from", link("jobs", job.cloned_from)],
]} /></${Panel}>`;

function teacherName({ spec, teacher_id: uploaded }) {
  if (!spec.teacher) return "none: labels alone";
  if (spec.teacher.pretrained) return `published weights of ${spec.teacher.pretrained}`;
  return uploaded ? link("teachers", uploaded) : link("models", spec.teacher.model_id);
}
