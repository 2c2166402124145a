/** Keys: who may speak to the service. A secret is shown once, when it is made. */
import { useList } from "../fetched.js";
import { NewKey, Revoke, Rotate } from "../key_forms.js";
import { Empty, Head, Loaded, More, Panel, Rows, Status, Tag, When } from "../parts.js";
import { refine } from "../router.js";
import { query as search } from "../api.js";
import { html, useState } from "../vendor/preact.js";

export function Page({ query }) {
  const keys = useList(`/v1/keys${search({ limit: 50, owner: query.owner?.trim() })}`);
  const [asked, ask] = useState(null); // {what, key}
  const close = () => {
    ask(null);
    keys.reload();
  };
  return html`
    <${Head} title="Keys" about="Each has a role, an owner whose rows it sees, and scopes that narrow it.">
      <button class="button primary" onClick=${() => ask({ what: "new" })}>New key</button>
    </${Head}>
    <div class="filters" role="search"><input class="input" type="search" aria-label="Owner" placeholder="Owner" value=${query.owner ?? ""} onInput=${(event) => refine({ owner: event.target.value })} /></div>
    <${Loaded} from=${keys}>${(items) => html`<${Panel} flush label=${null}>${items.length ? html`<${Table} keys=${items} ask=${ask} />` : html`<${Empty} title="No key of this owner" action=${html`<a class="button" href="#/keys">Show all keys</a>`}>Owners are compared as a whole.</${Empty}>`}</${Panel}>`}</${Loaded}>
    <${More} of=${keys}>Show older keys</${More}>
    ${asked?.what === "new" && html`<${NewKey} close=${close} />`}
    ${asked?.what === "rotate" && html`<${Rotate} of=${asked.key} close=${close} />`}
    ${asked?.what === "revoke" && html`<${Revoke} of=${asked.key} close=${close} />`}`;
}

function stateOf(key) {
  if (key.revoked_at) return "revoked";
  return key.expires_at && new Date(key.expires_at) < new Date() ? "expired" : "active";
}

const Table = ({ keys, ask }) => html`<${Rows} label="Keys" rows=${keys} columns=${[
  ["Name", (key) => html`<span class="cell-main">${key.name}</span><span class="cell-sub mono">dlkd_${key.prefix}_…</span>`],
  ["Status", (key) => html`<${Status} of=${stateOf(key)} />`],
  ["Role", (key) => key.role],
  ["Owner", (key) => html`<span class="mono small">${key.owner}</span>`],
  ["Scopes", (key) => (key.scopes.length ? key.scopes.map((scope) => html`<${Tag}>${scope}</${Tag}> `) : "all of the role")],
  ["Last used", (key) => html`<${When} at=${key.last_used_at} />`, "number"],
  ["Ends", (key) => html`<${Ends} of=${key} />`, "number"],
  [html`<span class="hidden-visually">Actions</span>`, (key) => stateOf(key) === "active" && html`<div class="row end"><button class="button tiny" aria-label=${`Rotate ${key.name}`} onClick=${() => ask({ what: "rotate", key })}>Rotate</button><button class="button tiny danger" aria-label=${`Revoke ${key.name}`} onClick=${() => ask({ what: "revoke", key })}>Revoke</button></div>`],
]} />`;

const Ends = ({ of: key }) => html`${key.expires_at ? new Date(key.expires_at).toLocaleDateString("en-GB", { dateStyle: "medium" }) : "never"}${key.old_until && new Date(key.old_until) > new Date() && html`<span class="cell-sub">old secret until ${new Date(key.old_until).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })}</span>`}`;
