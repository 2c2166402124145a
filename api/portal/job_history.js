/** What happened to a job: events, the log of its trainers, attempts, and the spec that it ran. */
import { get } from "./api.js";
import { useTick } from "./fetched.js";
import { between, bytes, clock, percent, whole } from "./format.js";
import { isActive } from "./job_parts.js";
import { Copy, Empty, Panel, Refusal, Rows, Status, When } from "./parts.js";
import { html, useCallback, useEffect, useRef, useState } from "./vendor/preact.js";

const WORDS = {
  status: ({ from, to, worker }) => html`${from ? html`${from} → <strong>${to}</strong>` : html`<strong>${to}</strong>`}${worker && html` on <span class="mono">${worker}</span>`}`,
  phase: ({ phase }) => phase,
  notice: ({ message }) => message,
  teacher: ({ architecture, top1, knn_top1: knn, images }) => `${architecture}: ${percent(top1 ?? knn)} of ${whole(images)} images`,
  checkpoint: ({ step }) => `step ${whole(step)}`,
  file: ({ name, size, top1 }) => `${name}, ${bytes(size)}, ${percent(top1)}`,
};

export function Events({ events }) {
  if (!events.length) return html`<${Panel} label="Events"><${Empty} title="No events yet">They stand here as they happen.</${Empty}></${Panel}>`;
  const newest = [...events].reverse();
  return html`<${Panel} flush label="Events"><ol class="events" reversed>${newest.map((event) => html`<li key=${event.id}>
    <time datetime=${event.at}>${clock(event.at)}</time><span>${event.type}</span>
    <span class="what">${(WORDS[event.type] ?? said)(event.data)}</span></li>`)}</ol></${Panel}>`;
}

const said = (data) => html`<code>${JSON.stringify(data)}</code>`;

const TAIL = 500;

/** The last lines, and what is written while one looks. Scrolls along unless somebody has scrolled up. */
export function Logs({ job }) {
  const [lines, setLines] = useState(null);
  const [problem, fail] = useState(null);
  const cursor = useRef(null);
  const box = useRef();
  const load = useCallback(async () => {
    try {
      const page = await get(`/v1/jobs/${job.id}/logs?${cursor.current === null ? `tail=${TAIL}` : `after=${cursor.current}`}`);
      cursor.current = page.cursor;
      setLines((old) => [...(old ?? []), ...page.items]);
      fail(null);
    } catch (found) {
      fail(found);
    }
  }, [job.id]);
  useEffect(() => {
    load();
  }, [load, job.status]);
  useTick(load, isActive(job) ? 2000 : 0);
  useEffect(() => {
    const at = box.current;
    if (at && at.scrollHeight - at.scrollTop - at.clientHeight < 200) at.scrollTop = at.scrollHeight;
  }, [lines?.length]);
  if (problem && !lines) return html`<${Refusal} problem=${problem} retry=${load} />`;
  if (!lines?.length) return html`<${Panel} label="Log"><${Empty} title="The log is empty">${isActive(job) ? "Trainers write little while all is well: warnings and errors stand here." : "Its trainers had nothing to say."}</${Empty}></${Panel}>`;
  const aside = html`<a class="button tiny" href=${`data:text/plain;charset=utf-8,${encodeURIComponent(lines.map((line) => line.line).join("\n"))}`} download=${`${job.id}.log`}>Save</a>`;
  return html`<${Panel} flush title="Log" aside=${aside}><pre class="log" ref=${box} tabindex="0" aria-label="Log">${lines.map((line) => html`<span class="no">${line.id}</span>${line.line}${"\n"}`)}</pre></${Panel}>`;
}

export function Attempts({ job }) {
  if (!job.attempts.length) return html`<${Panel} label="Attempts"><${Empty} title="No attempt yet">An attempt begins when a worker takes the job.</${Empty}></${Panel}>`;
  const rows = [...job.attempts].reverse().map((attempt) => ({ ...attempt, id: attempt.number }));
  return html`<${Panel} flush label=${null}><${Rows} label="Attempts" rows=${rows} columns=${[
    ["Attempt", (one) => one.number],
    ["Status", (one) => html`<${Status} of=${one.status} />`],
    ["Worker", (one) => html`<span class="mono">${one.worker_id}</span>`],
    ["From step", (one) => (one.resumed_step === null ? "the beginning" : whole(one.resumed_step)), "number"],
    ["Saved step", (one) => whole(one.saved_step), "number"],
    ["Took", (one) => between(one.started_at, one.finished_at), "number"],
    ["Began", (one) => html`<${When} at=${one.started_at} />`, "number"],
    ["Error", (one) => (one.error ? html`${one.error.message}<span class="cell-sub">${one.error.hint}</span>` : "–")],
  ]} /></${Panel}>`;
}

export function Spec({ job }) {
  const text = JSON.stringify(job.spec, null, 2);
  return html`<${Panel} title="Spec, with all defaults" aside=${html`<${Copy} text=${text}>Copy</${Copy}>`}><pre class="code" tabindex="0" aria-label="Spec">${text}</pre></${Panel}>`;
}
