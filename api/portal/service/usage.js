/** Usage and limits of the signed-in owner, and for admins the limits of other owners. */
import { get, put } from "../lib/api.js";
import { formatBytes, formatDuration, formatInteger } from "../lib/format.js";
import { useFetch, usePaginatedList } from "../lib/hooks.js";
import { Role, session } from "../lib/session.js";
import {
  AsyncContent, DataTable, EmptyState, ErrorNotice, LoadMoreButton, PageHeader, Panel, ProgressBar,
} from "../ui/components.js";
import { ConfirmDialog } from "../ui/dialogs.js";
import { FormField } from "../ui/form_fields.js";
import { toast } from "../ui/toast.js";
import { html, useState } from "../vendor/preact.js";

/** Kinds of limits: name, title, format, and the unit of the input (none for counts). */
const QUOTA_KINDS = [
  ["queued_jobs", "Queued jobs", formatInteger, ""],
  ["running_jobs", "Running jobs", formatInteger, ""],
  ["stored_bytes", "Storage", formatBytes, "bytes"],
  ["device_seconds", "Device time this month", formatDuration, "seconds"],
];

export function Page() {
  const usage = useFetch("/v1/usage", { intervalMs: 10000 });
  return html`
    <${PageHeader} title="Usage" about="Your usage and limits. Months begin at midnight UTC." />
    <div class="stack">
      <${AsyncContent} query=${usage}>${(data) => html`<${Panel} title="Your usage">
        <${UsageBars} usage=${data} />
      </${Panel}>`}</${AsyncContent}>
      ${session.hasRole(Role.ADMIN) && html`<${QuotaPanel} />`}
    </div>`;
}

function UsageBars({ usage }) {
  const items = QUOTA_KINDS.map(([name, title, format]) => {
    const { used, limit } = usage[name];
    const isFull = limit !== null && used >= limit;
    const limitText = limit === null ? "· no limit" : `of ${format(limit)}`;
    return html`<li>
      <div class="head">
        <strong>${title}</strong>
        <span class=${isFull ? "worse" : "muted"}>
          ${format(used)} ${limitText}${isFull && " · limit reached"}
        </span>
      </div>
      ${limit !== null && html`<${ProgressBar} fraction=${limit ? used / limit : 1} label=${title}
        tone=${isFull ? "bad" : ""} />`}
    </li>`;
  });
  return html`<ul class="usage-bars">${items}</ul>`;
}

function QuotaPanel() {
  const quotas = usePaginatedList("/v1/quotas?limit=50");
  const [owner, setOwner] = useState("");
  const [error, setError] = useState(null);
  const [openQuota, setOpenQuota] = useState(null);
  const lookUp = async (event) => {
    event.preventDefault();
    setError(null);
    await get(`/v1/quotas/${encodeURIComponent(owner)}`).then(setOpenQuota, setError);
  };
  const onUpdate = () => {
    quotas.reload();
    toast("Limits saved");
  };
  const usageColumns = QUOTA_KINDS.map(([name, title, format]) => {
    const renderCell = ({ [name]: { used, limit } }) => html`${format(used)}
      <span class="cell-sub">${limit === null ? "no limit" : `of ${format(limit)}`}</span>`;
    return [title, renderCell, "number"];
  });
  const renderOwner = (quota) => html`<button class="button plain tiny mono"
    onClick=${() => setOpenQuota(quota)}>${quota.owner}</button>`;
  return html`<${Panel} title="Owner limits" label=${null} flush>
    <form class="row panel-form" onSubmit=${lookUp}>
      <input class="input" aria-label="Owner" placeholder="Owner, e.g. team-vision" required
        value=${owner} onInput=${(event) => setOwner(event.target.value.trim())} />
      <button class="button">Look up</button>
    </form>
    <${ErrorNotice} error=${error} />
    <${AsyncContent} query=${quotas}>${(items) =>
      items.length
        ? html`<${DataTable} label="Owner limits"
            columns=${[["Owner", renderOwner], ...usageColumns]}
            rows=${items.map((quota) => ({ ...quota, id: quota.owner }))} />`
        : html`<${EmptyState} title="No owner-specific limits">
            All owners have the service's default limits. Look up an owner to see their usage or to
            set limits for them.
          </${EmptyState}>`
    }</${AsyncContent}>
    <${LoadMoreButton} query=${quotas}>Show more owners</${LoadMoreButton}>
    ${openQuota && html`<${QuotaDialog} quota=${openQuota} onUpdate=${onUpdate}
      onClose=${() => setOpenQuota(null)} />`}
  </${Panel}>`;
}

/** Edits all limits of an owner at once, because the API replaces them together. */
function QuotaDialog({ quota, onUpdate, onClose }) {
  const [values, setValues] = useState(() => {
    const texts = QUOTA_KINDS.map(([name]) => [name, String(quota.own[name] ?? "")]);
    return Object.fromEntries(texts);
  });
  const save = async () => {
    const limits = Object.entries(values).map(
      ([name, value]) => [name, value === "" ? null : Number(value)],
    );
    await put(`/v1/quotas/${encodeURIComponent(quota.owner)}`, Object.fromEntries(limits));
    onUpdate();
  };
  const fields = QUOTA_KINDS.map(([name, title, , unit]) => html`<${FormField} id=${`limit-${name}`}
    label=${unit ? `${title} (${unit})` : title} type="number" min="0" value=${values[name]}
    onChange=${(value) => setValues((old) => ({ ...old, [name]: value }))} />`);
  return html`<${ConfirmDialog} title=${`Limits of ${quota.owner}`}
    text="Leave a field empty to use the default of the service." label="Save limits"
    onConfirm=${save} onClose=${onClose}>
    <${UsageBars} usage=${quota} />
    ${fields}
  </${ConfirmDialog}>`;
}
