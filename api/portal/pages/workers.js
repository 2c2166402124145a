/** Workers, their devices, and what waits for them. */
import { post, remove } from "../api.js";
import { useGet } from "../fetched.js";
import { ago, bytes, duration, percent, whole } from "../format.js";
import { Bar, Doing, Empty, Facts, Head, Loaded, Panel, Rows, Status, When, toast } from "../parts.js";
import { Check, Question } from "../question.js";
import { session } from "../session.js";
import { html, useState } from "../vendor/preact.js";

const WHOSE = { train: "on any device", "train-cpu": "on the CPU", "train-cuda": "on a GPU", checks: "checks of uploads" };

export function Page() {
  const workers = useGet("/v1/workers", { every: 3000 });
  const queues = useGet("/v1/queues", { every: 3000 });
  return html`
    <${Head} title="Workers" about="The processes that train and check, as they were when they were last heard of." />
    <div class="stack">
      <${Loaded} from=${workers}>${({ items }) => (items.some(isThere) ? items.filter(isThere).map((worker) => html`<${Worker} key=${worker.id} worker=${worker} changed=${workers.reload} />`) : html`<${Panel} label="Workers"><${Empty} title="No worker is there">Jobs wait until one is. On the machine that is to train, start <code>dlkd worker</code> with the service's settings; <code>dlkd doctor</code> says what is missing.</${Empty}></${Panel}>`)}</${Loaded}>
      <${Loaded} from=${queues}>${({ items }) => html`<${Queues} queues=${items} />`}</${Loaded}>
      <${Gone} workers=${workers.data?.items.filter((worker) => !isThere(worker)) ?? []} />
    </div>`;
}

const isThere = (worker) => worker.status !== "gone";

const Gone = ({ workers }) =>
  workers.length > 0 &&
  html`<${Panel} title="Fell silent within a day" label=${null} flush><${Rows} label="Workers that fell silent" rows=${workers} columns=${[
    ["Worker", (worker) => html`<span class="cell-main">${worker.name}</span><span class="cell-sub mono">${worker.id}</span>`],
    ["Host", (worker) => `${worker.hostname}, process ${worker.pid}`],
    ["Status", (worker) => html`<${Status} of=${worker.status} />`],
    ["Last heard of", (worker) => html`<${When} at=${worker.last_seen} />`, "number"],
  ]} /><p class="panel-note">Their jobs went to others. A worker that is shut down in order says good-bye, and does not stand here.</p></${Panel}>`;

const Queues = ({ queues }) => html`<${Panel} title="Queues" label=${null} flush><${Rows} label="Queues" rows=${queues.map((queue) => ({ ...queue, id: queue.name }))} columns=${[
  ["Queue", (queue) => html`<span class="cell-main">${queue.name}</span><span class="cell-sub">${WHOSE[queue.name]}</span>`],
  ["Waiting", (queue) => whole(queue.queued), "number"],
  ["Running", (queue) => whole(queue.running), "number"],
  ["Longest wait", (queue) => (queue.oldest_seconds === null ? "–" : duration(queue.oldest_seconds)), "number"],
  ["Workers", (queue) => (queue.workers || !queue.queued ? whole(queue.workers) : html`<span class="less">none: jobs wait</span>`), "number"],
  ["Slots", (queue) => whole(queue.slots), "number"],
]} /></${Panel}>`;

function Worker({ worker, changed }) {
  return html`<${Panel} title=${worker.name} label=${`Worker ${worker.name}, process ${worker.pid}`} aside=${html`<div class="row"><${Status} of=${worker.status} /><${Drain} worker=${worker} changed=${changed} /></div>`}>
    <div class="grid-2 from-top">
      <div class="stack">
        <ul class="devices">${worker.devices.map((device) => html`<${Device} device=${device} />`)}</ul>
        <ul class="devices">${Object.entries(worker.slots).map(([kind, slots]) => html`<li><div class="head"><strong>Slots for ${kind === "train" ? "training" : kind}</strong><span class="quiet">${worker.busy[kind] ?? 0} of ${slots} busy</span></div><${Bar} share=${slots ? (worker.busy[kind] ?? 0) / slots : 0} label=${`Busy slots of ${worker.name}: ${kind}`} /></li>`)}</ul>
      </div>
      <div class="stack"><${Held} worker=${worker} /><${Facts} of=${[
        ["Host", `${worker.hostname}, process ${worker.pid}`], ["Version", worker.version], ["Queues", worker.queues.join(", ") || "all"],
        ["Started", html`<${When} at=${worker.started_at} />`], ["Last heard of", ago(worker.last_seen)], ["Id", html`<span class="mono small">${worker.id}</span>`],
      ]} /></div>
    </div>
  </${Panel}>`;
}

function Device({ device }) {
  const name = device.kind === "cuda" ? `GPU ${device.index}: ${device.name}` : `CPU${device.cores ? `, ${device.cores} cores` : ""}`;
  return html`<li>
    <div class="head"><strong>${name}</strong><span class="quiet">${device.busy === null ? "does not tell its load" : `${percent(device.busy, 0)} busy`}</span></div>
    ${device.busy !== null && html`<${Bar} share=${device.busy} label=${`Load of ${name}`} />`}
    <div class="head"><span class="small">Memory</span><span class="small quiet">${device.used_bytes === null ? "" : `${bytes(device.used_bytes)} of `}${bytes(device.memory_bytes)}</span></div>
    ${device.used_bytes !== null && html`<${Bar} share=${device.used_bytes / device.memory_bytes} label=${`Memory of ${name}`} tone=${device.used_bytes > 0.95 * device.memory_bytes ? "bad" : ""} />`}
  </li>`;
}

function Held({ worker }) {
  const others = Object.values(worker.busy).reduce((sum, one) => sum + one, 0) - worker.jobs.reduce((sum, job) => sum + job.slots, 0);
  if (!worker.jobs.length) return html`<p class="quiet">${others > 0 ? "It works on what is not yours to see: checks, or jobs of others." : "It has nothing to do."}</p>`;
  return html`<ul class="devices">${worker.jobs.map((job) => html`<li class="head" key=${job.job_id}><a class="mono" href=${`#/jobs/${job.job_id}`}>${job.job_id}</a><span class="row"><${Status} of=${job.status} /><span class="small quiet">attempt ${job.attempt}, ${ago(job.since)}</span></span></li>`)}</ul>`;
}

function Drain({ worker, changed }) {
  const [asked, ask] = useState(false);
  const [now, setNow] = useState(false);
  if (!session.reaches("operator")) return null;
  const back = async () => {
    await remove(`/v1/workers/${worker.id}/drain`);
    await changed();
  };
  if (worker.status === "draining") return html`<${Doing} kind="tiny" does=${back}>Take jobs again</${Doing}>`;
  const does = async () => {
    await post(`/v1/workers/${worker.id}/drain${now ? "?now=true" : ""}`);
    toast(`${worker.name} takes no new job`);
    await changed();
  };
  return html`<button class="button tiny" onClick=${() => ask(true)}>Drain</button>
    ${asked && html`<${Question} title=${`Drain ${worker.name}?`} text="It takes no new job, and ends when what it runs has finished. Until then it can be told to take jobs again." words="Drain it" kind="danger" does=${does} close=${() => ask(false)}>
      <${Check} words="At once: what runs saves a checkpoint and goes back to its queue, for another worker" value=${now} set=${setNow} />
    </${Question}>`}`;
}
