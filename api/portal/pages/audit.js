/** The audit log: what was done, by whom, from where. */
import { query as search } from "../api.js";
import { useList } from "../fetched.js";
import { day } from "../format.js";
import { Empty, Head, Loaded, More, Panel, Rows } from "../parts.js";
import { Field } from "../question.js";
import { refine } from "../router.js";
import { html } from "../vendor/preact.js";

const FILTERS = [["action", "Action", "job.running"], ["actor", "Actor", "key_…"], ["subject", "Subject", "job_…, model_…"], ["owner", "Owner", "team-vision"], ["request_id", "Request", "req_…"]];
const PAGES = { job: "jobs", model: "models", dataset: "datasets", teacher: "teachers" };

export function Page({ query }) {
  const given = Object.fromEntries(FILTERS.map(([name]) => [name, query[name]?.trim()]));
  const log = useList(`/v1/audit${search({ limit: 50, ...given, after: moment(query.after), before: moment(query.before) })}`);
  const filtered = Object.values(query).some(Boolean);
  return html`
    <${Head} title="Audit" about="Everything that was changed, newest first: by keys, by people of the issuer, by workers and the service itself.">
      <button class="button" onClick=${log.reload}>Look again</button>
    </${Head}>
    <div class="filters" role="search">
      ${FILTERS.map(([name, words, example]) => html`<${Field} key=${name} id=${`of-${name}`} words=${words} type="search" placeholder=${example} value=${query[name] ?? ""} set=${(value) => refine({ [name]: value })} />`)}
      <${Field} id="of-after" words="After" type="datetime-local" value=${query.after ?? ""} set=${(value) => refine({ after: value })} />
      <${Field} id="of-before" words="Before" type="datetime-local" value=${query.before ?? ""} set=${(value) => refine({ before: value })} />
    </div>
    <${Loaded} from=${log}>${(items) => html`<${Panel} flush label=${null}>${items.length ? html`<${Table} entries=${items} />` : html`<${Nothing} filtered=${filtered} />`}</${Panel}>`}</${Loaded}>
    <${More} of=${log}>Show older entries</${More}>`;
}

/** What a field for a date and a time has is of this place; the service wants to know of which. */
function moment(text) {
  const found = new Date(text ?? "");
  return Number.isNaN(found.getTime()) ? "" : found.toISOString();
}

const Nothing = ({ filtered }) =>
  filtered
    ? html`<${Empty} title="No entry fits these filters" action=${html`<a class="button" href="#/audit">Show all entries</a>`}>Words are compared as a whole: an action is written as job.running, an actor or a subject by its id.</${Empty}>`
    : html`<${Empty} title="Nothing was done yet">What changes anything leaves an entry here.</${Empty}>`;

const Table = ({ entries }) => html`<${Rows} label="Audit log" rows=${entries} columns=${[
  ["When", (entry) => html`<time datetime=${entry.at} title=${entry.at} class="nowrap">${day(entry.at)}</time>`],
  ["Action", (entry) => html`<button class="button plain tiny mono" title="Show this action alone" onClick=${() => refine({ action: entry.action })}>${entry.action}</button>`],
  ["Actor", (entry) => html`<button class="button plain tiny mono" title="${entry.actor}: show this actor alone" onClick=${() => refine({ actor: entry.actor })}>${short(entry.actor)}</button><span class="cell-sub">${[entry.role, entry.address].filter(Boolean).join(" from ")}</span>`],
  ["Subject", (entry) => subject(entry.subject)],
  ["Facts", (entry) => html`<${Told} entry=${entry} />`],
]} />`;

const short = (id) => (id.length > 20 ? `${id.split("_")[0]} …${id.slice(-6)}` : id);

function subject(id) {
  const page = PAGES[id.split("_")[0]];
  return page ? html`<a class="mono" href=${`#/${page}/${id}`} title=${id}>${short(id)}</a>` : html`<span class="mono" title=${id}>${short(id)}</span>`;
}

function Told({ entry }) {
  const facts = Object.entries(entry.data).filter(([, value]) => value !== null);
  return html`<details class="small"><summary>${facts.length ? facts.slice(0, 2).map(([name, value]) => `${name}: ${brief(value)}`).join(", ") : "Details"}</summary>
    <pre class="code" tabindex="0">${JSON.stringify({ ...entry.data, request_id: entry.request_id, owner: entry.owner }, null, 2)}</pre></details>`;
}

function brief(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}
