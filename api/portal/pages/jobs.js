/** Jobs: live, filtered, newest first. */
import { query as search } from "../api.js";
import { useList } from "../fetched.js";
import { between, duration, percent } from "../format.js";
import { isActive, JobProgress } from "../job_parts.js";
import { Empty, Head, Loaded, More, Panel, Rows, Segments, Status, Tag, When } from "../parts.js";
import { refine } from "../router.js";
import { session } from "../session.js";
import { html } from "../vendor/preact.js";

const STATES = {
  all: ["All", []],
  active: ["Active", ["validating", "queued", "starting", "running", "exporting", "cancelling", "pausing"]],
  paused: ["Paused", ["paused"]],
  succeeded: ["Succeeded", ["succeeded"]],
  ended: ["Failed or stopped", ["failed", "cancelled", "expired"]],
};
const SUBMIT = html`<a class="button primary" href="#/new">New job</a>`;

export function Page({ query }) {
  const shown = query.state in STATES ? query.state : "all";
  const label = query.label?.includes(":") ? query.label : "";
  const path = `/v1/jobs${search({ limit: 50, status: STATES[shown][1], name: query.name, label })}`;
  const jobs = useList(path, { every: 3000 });
  const filtered = shown !== "all" || query.name || query.label;
  return html`
    <${Head} title="Jobs" about="Every run, from its spec to its model. The list keeps itself up to date.">
      ${session.reaches("submitter") && SUBMIT}
    </${Head}>
    <div class="filters">
      <${Segments} label="State" options=${Object.entries(STATES).map(([name, [words]]) => [name, words])} value=${shown} pick=${(name) => refine({ state: name === "all" ? "" : name })} />
      <input class="input" type="search" aria-label="Name contains" placeholder="Name" value=${query.name ?? ""} onInput=${(event) => refine({ name: event.target.value })} />
      <input class="input" type="search" aria-label="Label, as key:value" placeholder="Label, as team:vision" value=${query.label ?? ""} onInput=${(event) => refine({ label: event.target.value })} />
    </div>
    <${Loaded} from=${jobs}>${(items) => html`<${Panel} flush label=${null}>${items.length ? html`<${Table} jobs=${items} />` : html`<${Nothing} filtered=${filtered} />`}</${Panel}>`}</${Loaded}>
    <${More} of=${jobs}>Show older jobs</${More}>`;
}

const Nothing = ({ filtered }) =>
  filtered
    ? html`<${Empty} title="No job fits these filters" action=${html`<a class="button" href="#/jobs">Show all jobs</a>`}>Take a filter away, or look for another name.</${Empty}>`
    : html`<${Empty} title="No jobs yet" action=${session.reaches("submitter") && SUBMIT}>A job takes a teacher, a student architecture and a data set, and makes a small model that you can ship. Its progress will stand here.</${Empty}>`;

const Table = ({ jobs }) => html`<${Rows} cards label="Jobs" rows=${jobs} columns=${[
  ["Name", (job) => html`<a class="cell-main" href=${`#/jobs/${job.id}`}>${job.name || job.id}</a><span class="cell-sub">${Object.entries(job.labels).map(([key, value]) => html`<${Tag}>${key}: ${value}</${Tag}> `)}</span>`, "main"],
  ["Status", (job) => html`<${Status} of=${job.status} />`],
  ["Progress", (job) => html`<div class="progress-cell"><${JobProgress} job=${job} /><span class="small quiet">${state(job)}</span></div>`],
  ["Student", (job) => html`${job.spec.student?.architecture}<span class="cell-sub">${job.spec.method?.name}</span>`],
  ["Took", (job) => between(job.started_at, job.finished_at), "number"],
  ["Submitted", (job) => html`<${When} at=${job.created_at} />`, "number"],
]} />`;

/** What the progress says in words. */
function state(job) {
  if (job.status === "failed") return job.error?.code;
  if (job.waiting_for) return `waits for ${job.waiting_for}`;
  const { fraction, eta_seconds: eta, phase } = job.progress;
  if (!isActive(job) || job.status === "queued") return job.status === "queued" ? "waits for its turn" : percent(fraction, 0);
  return [percent(fraction, 0), eta ? `${duration(eta)} left` : phase].filter(Boolean).join(" · ");
}
