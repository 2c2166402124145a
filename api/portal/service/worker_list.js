/** Workers with their devices and running jobs, and the queues. */
import { post, remove } from "../lib/api.js";
import {
  formatBytes, formatDuration, formatInteger, formatPercent, formatTimeAgo, isMissing,
} from "../lib/format.js";
import { useFetch } from "../lib/hooks.js";
import { resourceUrl } from "../lib/router.js";
import { Role, session } from "../lib/session.js";
import {
  ActionButton, AsyncContent, DataTable, DescriptionList, EmptyState, PageHeader, Panel,
  ProgressBar, RelativeTime, StatusBadge,
} from "../ui/components.js";
import { ConfirmDialog } from "../ui/dialogs.js";
import { Checkbox } from "../ui/form_fields.js";
import { toast } from "../ui/toast.js";
import { html, useState } from "../vendor/preact.js";

const WorkerStatus = Object.freeze({ GONE: "gone", DRAINING: "draining" });
const STATUS_LABELS = { [WorkerStatus.GONE]: "lost" };
const QUEUE_LABELS = {
  train: "training on any device",
  "train-cpu": "training on the CPU",
  "train-cuda": "training on a GPU",
  checks: "upload checks",
};
const SLOT_LABELS = { train: "Training slots", checks: "Upload check slots" };
const MEMORY_WARNING_FRACTION = 0.95;
const REFRESH = { intervalMs: 3000 };

export function Page() {
  const workers = useFetch("/v1/workers", REFRESH);
  const queues = useFetch("/v1/queues", REFRESH);
  const lost = (workers.data?.items ?? []).filter((worker) => !isAlive(worker));
  return html`
    <${PageHeader} title="Workers"
      about="The processes that train models and check uploads, as last reported." />
    <div class="stack">
      <${AsyncContent} query=${workers}>${({ items }) => {
        const alive = items.filter(isAlive);
        if (!alive.length) return html`<${NoWorkers} />`;
        return alive.map((worker) => html`<${WorkerPanel} key=${worker.id} worker=${worker}
          onUpdate=${workers.reload} />`);
      }}</${AsyncContent}>
      <${AsyncContent} query=${queues}>${({ items }) =>
        html`<${QueueTable} queues=${items} />`
      }</${AsyncContent}>
      <${LostWorkers} workers=${lost} />
    </div>`;
}

const isAlive = (worker) => worker.status !== WorkerStatus.GONE;

const WorkerStatusBadge = ({ status }) =>
  html`<${StatusBadge} status=${status} label=${STATUS_LABELS[status] ?? status} />`;

const NoWorkers = () => html`<${Panel} label="Workers">
  <${EmptyState} title="No workers">
    Jobs wait until a worker connects. On the training machine, start <code>dlkd worker</code> with
    ${" "}the settings of the service. <code>dlkd doctor</code> reports what is missing.
  </${EmptyState}>
</${Panel}>`;

function LostWorkers({ workers }) {
  if (!workers.length) return null;
  return html`<${Panel} title="Lost in the last 24 hours" label=${null} flush>
    <${DataTable} label="Lost workers" rows=${workers} columns=${[
      ["Worker", (worker) => html`<span class="cell-main">${worker.name}</span>
        <span class="cell-sub mono">${worker.id}</span>`],
      ["Host", (worker) => `${worker.hostname}, process ${worker.pid}`],
      ["Status", (worker) => html`<${WorkerStatusBadge} status=${worker.status} />`],
      ["Last seen", (worker) => html`<${RelativeTime} time=${worker.last_seen} />`, "number"],
    ]} />
    <p class="panel-note">
      These workers stopped reporting, and their jobs were requeued. Workers that shut down
      normally are not listed.
    </p>
  </${Panel}>`;
}

function QueueTable({ queues }) {
  const rows = queues.map((queue) => ({ ...queue, id: queue.name }));
  return html`<${Panel} title="Queues" label=${null} flush>
    <${DataTable} label="Queues" rows=${rows} columns=${[
      ["Queue", (queue) => html`<span class="cell-main">${queue.name}</span>
        <span class="cell-sub">${QUEUE_LABELS[queue.name]}</span>`],
      ["Waiting", (queue) => formatInteger(queue.queued), "number"],
      ["Running", (queue) => formatInteger(queue.running), "number"],
      ["Longest wait", (queue) => formatDuration(queue.oldest_seconds), "number"],
      ["Workers", renderQueueWorkers, "number"],
      ["Slots", (queue) => formatInteger(queue.slots), "number"],
    ]} />
  </${Panel}>`;
}

function renderQueueWorkers({ workers, queued }) {
  if (workers || !queued) return formatInteger(workers);
  return html`<span class="worse">none: jobs are waiting</span>`;
}

function WorkerPanel({ worker, onUpdate }) {
  const devices = worker.devices.map((device) => html`<${DeviceLoad} device=${device} />`);
  const slots = Object.entries(worker.slots).map(([kind, total]) => {
    const busy = worker.busy[kind] ?? 0;
    return html`<li>
      <div class="head">
        <strong>${SLOT_LABELS[kind] ?? kind}</strong>
        <span class="muted">${busy} of ${total} busy</span>
      </div>
      <${ProgressBar} fraction=${total ? busy / total : 0}
        label=${`Busy slots of ${worker.name}: ${kind}`} />
    </li>`;
  });
  const headerActions = html`<div class="row">
    <${WorkerStatusBadge} status=${worker.status} />
    <${DrainButton} worker=${worker} onUpdate=${onUpdate} />
  </div>`;
  return html`<${Panel} title=${worker.name} headerActions=${headerActions}
    label=${`Worker ${worker.name}, process ${worker.pid}`}>
    <div class="grid-2 align-start">
      <div class="stack">
        <ul class="meters">${devices}</ul>
        <ul class="meters">${slots}</ul>
      </div>
      <div class="stack">
        <${RunningJobs} worker=${worker} />
        <${DescriptionList} items=${[
          ["Host", `${worker.hostname}, process ${worker.pid}`],
          ["Version", worker.version],
          ["Queues", worker.queues.join(", ") || "all"],
          ["Started", html`<${RelativeTime} time=${worker.started_at} />`],
          ["Last seen", formatTimeAgo(worker.last_seen)],
          ["ID", html`<span class="mono small">${worker.id}</span>`],
        ]} />
      </div>
    </div>
  </${Panel}>`;
}

function DeviceLoad({ device }) {
  const { busy, used_bytes: usedBytes, memory_bytes: totalBytes } = device;
  const name = deviceName(device);
  const memory = isMissing(usedBytes)
    ? formatBytes(totalBytes)
    : `${formatBytes(usedBytes)} of ${formatBytes(totalBytes)}`;
  const isNearlyFull = usedBytes > MEMORY_WARNING_FRACTION * totalBytes;
  return html`<li>
    <div class="head">
      <strong>${name}</strong>
      <span class="muted">
        ${isMissing(busy) ? "load not available" : `${formatPercent(busy, 0)} busy`}
      </span>
    </div>
    ${!isMissing(busy) && html`<${ProgressBar} fraction=${busy} label=${`Load of ${name}`} />`}
    <div class="head">
      <span class="small">Memory</span><span class="small muted">${memory}</span>
    </div>
    ${!isMissing(usedBytes) && html`<${ProgressBar} fraction=${usedBytes / totalBytes}
      label=${`Memory of ${name}`} tone=${isNearlyFull ? "bad" : ""} />`}
  </li>`;
}

function deviceName({ kind, index, name, cores }) {
  if (kind === "cuda") return `GPU ${index}: ${name}`;
  return cores ? `CPU, ${cores} cores` : "CPU";
}

function RunningJobs({ worker }) {
  if (!worker.jobs.length) {
    const busySlots = Object.values(worker.busy).reduce((sum, slots) => sum + slots, 0);
    const text = busySlots > 0 ? "Running upload checks, or jobs of other owners." : "Idle.";
    return html`<p class="muted">${text}</p>`;
  }
  const items = worker.jobs.map((job) => html`<li class="head" key=${job.job_id}>
    <a class="mono" href=${resourceUrl("job", job.job_id)}>${job.job_id}</a>
    <span class="row">
      <${StatusBadge} status=${job.status} />
      <span class="small muted">attempt ${job.attempt}, ${formatTimeAgo(job.since)}</span>
    </span>
  </li>`);
  return html`<ul class="meters">${items}</ul>`;
}

function DrainButton({ worker, onUpdate }) {
  const [open, setOpen] = useState(false);
  const [immediately, setImmediately] = useState(false);
  if (!session.hasRole(Role.OPERATOR)) return null;
  const path = `/v1/workers/${worker.id}/drain`;
  const undrain = async () => {
    await remove(path);
    await onUpdate();
  };
  if (worker.status === WorkerStatus.DRAINING) {
    return html`<${ActionButton} kind="tiny" onClick=${undrain}>
      Accept jobs again
    </${ActionButton}>`;
  }
  const drain = async () => {
    await post(`${path}${immediately ? "?now=true" : ""}`);
    toast(`${worker.name} accepts no new jobs`);
    await onUpdate();
  };
  return html`<button class="button tiny" onClick=${() => setOpen(true)}>Drain</button>
    ${open && html`<${ConfirmDialog} title=${`Drain ${worker.name}?`}
      text=${"The worker accepts no new jobs and exits once its running jobs have finished. Until "
        + "then, you can let it accept jobs again."}
      label="Drain worker" kind="danger" onConfirm=${drain} onClose=${() => setOpen(false)}>
      <${Checkbox} value=${immediately} onChange=${setImmediately}
        label="Immediately: running jobs save a checkpoint and are requeued for another worker" />
    </${ConfirmDialog}>`}`;
}
