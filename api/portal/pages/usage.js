/** What an owner uses and may use; and, for admins, whose limits are their own. */
import { get, put } from "../api.js";
import { useGet, useList } from "../fetched.js";
import { bytes, duration, whole } from "../format.js";
import { Bar, Empty, Head, Loaded, Panel, Refusal, Rows, toast } from "../parts.js";
import { Field, Question } from "../question.js";
import { session } from "../session.js";
import { html, useState } from "../vendor/preact.js";

const KINDS = [
  ["queued_jobs", "Waiting jobs", whole, "jobs"],
  ["running_jobs", "Running jobs", whole, "jobs"],
  ["stored_bytes", "Stored", bytes, "bytes"],
  ["device_seconds", "Device time in this month", duration, "seconds"],
];

export function Page() {
  const usage = useGet("/v1/usage", { every: 10000 });
  return html`
    <${Head} title="Usage" about="What you use, and how much you may. Months are those of UTC." />
    <div class="stack">
      <${Loaded} from=${usage}>${(found) => html`<${Panel} title="Yours"><${Uses} of=${found} /></${Panel}>`}</${Loaded}>
      ${session.reaches("admin") && html`<${Quotas} />`}
    </div>`;
}

const Uses = ({ of }) => html`<ul class="uses">${KINDS.map(([name, title, words]) => {
  const { used, limit } = of[name];
  const full = limit !== null && used >= limit;
  return html`<li><div class="head"><strong>${title}</strong><span class=${full ? "less" : "quiet"}>${words(used)} ${limit === null ? "· no limit" : `of ${words(limit)}${full ? ": full" : ""}`}</span></div>
    ${limit !== null && html`<${Bar} share=${limit ? used / limit : 1} label=${title} tone=${full ? "bad" : ""} />`}</li>`;
})}</ul>`;

function Quotas() {
  const quotas = useList("/v1/quotas?limit=50");
  const [owner, setOwner] = useState("");
  const [problem, fail] = useState(null);
  const [open, setOpen] = useState(null);
  const look = async (event) => {
    event.preventDefault();
    fail(null);
    await get(`/v1/quotas/${encodeURIComponent(owner)}`).then(setOpen, fail);
  };
  const changed = () => {
    quotas.reload();
    toast("The limits are set");
  };
  const cell = (name, words) => (row) => html`${words(row[name].used)}<span class="cell-sub">${row[name].limit === null ? "no limit" : `of ${words(row[name].limit)}`}</span>`;
  const columns = [["Owner", (row) => html`<button class="button plain tiny mono" onClick=${() => setOpen(row)}>${row.owner}</button>`], ...KINDS.map(([name, title, words]) => [title, cell(name, words), "number"])];
  return html`<${Panel} title="Limits of owners" label=${null} flush>
    <form class="row panel-form" onSubmit=${look}><input class="input" aria-label="Owner" placeholder="Owner, as team-vision" required value=${owner} onInput=${(event) => setOwner(event.target.value.trim())} /><button class="button">Look up</button></form>
    <${Refusal} problem=${problem} />
    <${Loaded} from=${quotas}>${(items) => (items.length ? html`<${Rows} label="Limits of owners" rows=${items.map((row) => ({ ...row, id: row.owner }))} columns=${columns} />` : html`<${Empty} title="Nobody has limits of their own">All owners have the service's defaults. Look an owner up to see what they use, or to give them other limits.</${Empty}>`)}</${Loaded}>
    ${quotas.more && html`<p class="panel-note"><button class="button tiny" onClick=${quotas.more}>Show more</button></p>`}
    ${open && html`<${Limits} quota=${open} changed=${changed} close=${() => setOpen(null)} />`}
  </${Panel}>`;
}

/** All four limits at once, as the service takes them: an empty field is the default. */
function Limits({ quota, changed, close }) {
  const [values, set] = useState(Object.fromEntries(KINDS.map(([name]) => [name, quota.own[name] === null ? "" : String(quota.own[name])])));
  const does = async () => {
    await put(`/v1/quotas/${encodeURIComponent(quota.owner)}`, Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value === "" ? null : Number(value)])));
    changed();
  };
  return html`<${Question} title=${`Limits of ${quota.owner}`} text="An empty field is the service's default." words="Set the limits" does=${does} close=${close}>
    <${Uses} of=${quota} />
    ${KINDS.map(([name, title, , unit]) => html`<${Field} id=${`limit-${name}`} words=${`${title}, in ${unit}`} type="number" min="0" value=${values[name]} set=${(value) => set((old) => ({ ...old, [name]: value }))} />`)}
  </${Question}>`;
}
