/** The job list: filtered, newest first, refreshed automatically. */
import { queryString } from "../lib/api.js";
import { formatDuration, formatElapsed, formatPercent } from "../lib/format.js";
import { usePaginatedList } from "../lib/hooks.js";
import { updateQuery } from "../lib/router.js";
import { Role, session } from "../lib/session.js";
import {
  AsyncContent, DataTable, EmptyState, LoadMoreButton, PageHeader, Panel, RelativeTime,
  SegmentedControl, StatusBadge, TagList,
} from "../ui/components.js";
import { SearchInput } from "../ui/form_fields.js";
import { html } from "../vendor/preact.js";
import { isActive, JobProgressBar, JobStatus, phaseLabel, STATUS_FILTERS } from "./job_status.js";

const NEW_JOB_LINK = html`<a class="button primary" href="#/new">New job</a>`;
const FILTER_OPTIONS = Object.entries(STATUS_FILTERS).map(([name, [label]]) => [name, label]);

export function Page({ query }) {
  const filter = query.state in STATUS_FILTERS ? query.state : "all";
  const [, status] = STATUS_FILTERS[filter];
  const label = query.label?.includes(":") ? query.label : "";
  const search = queryString({ limit: 50, status, name: query.name, label });
  const jobs = usePaginatedList(`/v1/jobs${search}`, { intervalMs: 3000 });
  const filtered = filter !== "all" || query.name || query.label;
  return html`
    <${PageHeader} title="Jobs"
      about="Training runs, newest first. The list refreshes automatically.">
      ${session.hasRole(Role.SUBMITTER) && NEW_JOB_LINK}
    </${PageHeader}>
    <div class="filters">
      <${SegmentedControl} label="Status" options=${FILTER_OPTIONS} value=${filter}
        onSelect=${(name) => updateQuery({ state: name === "all" ? "" : name })} />
      <${SearchInput} label="Name contains" placeholder="Name" value=${query.name}
        onChange=${(name) => updateQuery({ name })} />
      <${SearchInput} label="Label, in the form key:value" placeholder="Label, e.g. team:vision"
        value=${query.label} onChange=${(text) => updateQuery({ label: text })} />
    </div>
    <${AsyncContent} query=${jobs}>${(items) => html`<${Panel} flush label=${null}>
      ${items.length
        ? html`<${JobTable} jobs=${items} />`
        : html`<${NoJobs} filtered=${filtered} />`}
    </${Panel}>`}</${AsyncContent}>
    <${LoadMoreButton} query=${jobs}>Show older jobs</${LoadMoreButton}>`;
}

function NoJobs({ filtered }) {
  if (filtered) {
    const reset = html`<a class="button" href="#/jobs">Show all jobs</a>`;
    return html`<${EmptyState} title="No matching jobs" action=${reset}>
      Remove a filter or search for another name.
    </${EmptyState}>`;
  }
  const action = session.hasRole(Role.SUBMITTER) && NEW_JOB_LINK;
  return html`<${EmptyState} title="No jobs yet" action=${action}>
    A job distills a teacher into a small student model on your dataset. Its progress appears here.
  </${EmptyState}>`;
}

const JobTable = ({ jobs }) => html`<${DataTable} cards label="Jobs" rows=${jobs} columns=${[
  ["Name", renderName, "main"],
  ["Status", (job) => html`<${StatusBadge} status=${job.status} />`],
  ["Progress", (job) => html`<div class="progress-cell">
    <${JobProgressBar} job=${job} /><span class="small muted">${progressText(job)}</span>
  </div>`],
  ["Student", (job) => html`${job.spec.student?.architecture}
    <span class="cell-sub">${job.spec.method?.name}</span>`],
  ["Duration", (job) => formatElapsed(job.started_at, job.finished_at), "number"],
  ["Submitted", (job) => html`<${RelativeTime} time=${job.created_at} />`, "number"],
]} />`;

function renderName(job) {
  const labels = Object.entries(job.labels).map(([key, value]) => `${key}: ${value}`);
  return html`<a class="cell-main" href=${`#/jobs/${job.id}`}>${job.name || job.id}</a>
    <span class="cell-sub"><${TagList} tags=${labels} /></span>`;
}

/** Describe the progress of a job in a few words. */
function progressText(job) {
  if (job.status === JobStatus.FAILED) return job.error?.code;
  if (job.waiting_for) return `waiting for ${job.waiting_for}`;
  if (job.status === JobStatus.QUEUED) return "waiting in the queue";
  const { fraction, eta_seconds: eta, phase } = job.progress;
  if (!isActive(job)) return formatPercent(fraction, 0);
  const detail = eta ? `${formatDuration(eta)} left` : phaseLabel(phase);
  return [formatPercent(fraction, 0), detail].filter(Boolean).join(" · ");
}
