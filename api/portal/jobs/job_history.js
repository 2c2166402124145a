/** The history of a job: events, logs, attempts, and the spec that it ran. */
import { get } from "../lib/api.js";
import {
  formatBytes, formatElapsed, formatInteger, formatPercent, formatTime, MISSING_TEXT,
} from "../lib/format.js";
import { useInterval } from "../lib/hooks.js";
import {
  CopyButton, DataTable, EmptyState, ErrorNotice, Panel, RelativeTime, StatusBadge,
} from "../ui/components.js";
import { html, useCallback, useEffect, useRef, useState } from "../vendor/preact.js";
import { isActive, phaseLabel } from "./job_status.js";

const EVENT_FORMATTERS = {
  status: ({ from, to, worker }) => html`${from && `${from} → `}<strong>${to}</strong>
    ${worker && html` on <span class="mono">${worker}</span>`}`,
  phase: ({ phase }) => phaseLabel(phase),
  notice: ({ message }) => message,
  teacher: ({ architecture, top1, knn_top1, images }) =>
    `${architecture}: ${formatPercent(top1 ?? knn_top1)} on ${formatInteger(images)} images`,
  checkpoint: ({ step }) => `step ${formatInteger(step)}`,
  file: ({ name, size, top1 }) => `${name}, ${formatBytes(size)}, ${formatPercent(top1)}`,
};

const formatUnknownEvent = (data) => html`<code>${JSON.stringify(data)}</code>`;

export function JobEvents({ events }) {
  if (!events.length) {
    return html`<${Panel} label="Events">
      <${EmptyState} title="No events yet">Events appear here as they happen.</${EmptyState}>
    </${Panel}>`;
  }
  const items = [...events].reverse().map((event) => {
    const formatEvent = EVENT_FORMATTERS[event.type] ?? formatUnknownEvent;
    return html`<li key=${event.id}>
      <time datetime=${event.at}>${formatTime(event.at)}</time>
      <span>${event.type}</span>
      <span class="event-text">${formatEvent(event.data)}</span>
    </li>`;
  });
  return html`<${Panel} flush label="Events">
    <ol class="events" reversed>${items}</ol>
  </${Panel}>`;
}

const TAIL_LINES = 500;
const FOLLOW_PIXELS = 200; // keeps scrolling if the user is this close to the end

/** The log's last lines, followed by new ones. Scrolls to new lines unless scrolled up. */
export function JobLogs({ job }) {
  const [lines, setLines] = useState(null);
  const [error, setError] = useState(null);
  const cursor = useRef(null);
  const log = useRef();
  const load = useCallback(async () => {
    const range = cursor.current === null ? `tail=${TAIL_LINES}` : `after=${cursor.current}`;
    try {
      const page = await get(`/v1/jobs/${job.id}/logs?${range}`);
      cursor.current = page.cursor;
      setLines((old) => [...(old ?? []), ...page.items]);
      setError(null);
    } catch (requestError) {
      setError(requestError);
    }
  }, [job.id]);
  useEffect(() => {
    load();
  }, [load, job.status]);
  useInterval(load, isActive(job) ? 2000 : 0);
  useEffect(() => {
    const element = log.current;
    if (!element) return;
    const below = element.scrollHeight - element.scrollTop - element.clientHeight;
    if (below < FOLLOW_PIXELS) element.scrollTop = element.scrollHeight;
  }, [lines?.length]);
  if (error && !lines) return html`<${ErrorNotice} error=${error} onRetry=${load} />`;
  if (!lines?.length) return html`<${Panel} label="Log"><${NoLogLines} job=${job} /></${Panel}>`;
  const text = encodeURIComponent(lines.map((line) => line.line).join("\n"));
  const download = html`<a class="button tiny" href=${`data:text/plain;charset=utf-8,${text}`}
    download=${`${job.id}.log`}>Download</a>`;
  const items = lines.map(
    (line) => html`<span class="line-number">${line.id}</span>${line.line}${"\n"}`,
  );
  return html`<${Panel} flush title="Log" headerActions=${download}>
    <pre class="log" ref=${log} tabindex="0" aria-label="Log">${items}</pre>
  </${Panel}>`;
}

const NoLogLines = ({ job }) => html`<${EmptyState} title="The log is empty">
  ${isActive(job)
    ? "Warnings and errors from the training process appear here."
    : "The training process of this job logged nothing."}
</${EmptyState}>`;

export function JobAttempts({ job }) {
  if (!job.attempts.length) {
    return html`<${Panel} label="Attempts">
      <${EmptyState} title="No attempts yet">
        An attempt starts when a worker claims the job.
      </${EmptyState}>
    </${Panel}>`;
  }
  const rows = [...job.attempts].reverse().map((attempt) => ({ ...attempt, id: attempt.number }));
  return html`<${Panel} flush label=${null}>
    <${DataTable} label="Attempts" rows=${rows} columns=${[
      ["Attempt", (attempt) => attempt.number],
      ["Status", (attempt) => html`<${StatusBadge} status=${attempt.status} />`],
      ["Worker", (attempt) => html`<span class="mono">${attempt.worker_id}</span>`],
      ["From step", (attempt) => formatInteger(attempt.resumed_step ?? 0), "number"],
      ["Saved step", (attempt) => formatInteger(attempt.saved_step), "number"],
      [
        "Duration",
        (attempt) => formatElapsed(attempt.started_at, attempt.finished_at),
        "number",
      ],
      ["Started", (attempt) => html`<${RelativeTime} time=${attempt.started_at} />`, "number"],
      ["Error", renderAttemptError],
    ]} />
  </${Panel}>`;
}

function renderAttemptError({ error }) {
  if (!error) return MISSING_TEXT;
  return html`${error.message}<span class="cell-sub">${error.hint}</span>`;
}

export function JobSpec({ job }) {
  const text = JSON.stringify(job.spec, null, 2);
  const copy = html`<${CopyButton} text=${text}>Copy</${CopyButton}>`;
  return html`<${Panel} title="Spec with all defaults" headerActions=${copy}>
    <pre class="code" tabindex="0" aria-label="Spec">${text}</pre>
  </${Panel}>`;
}
