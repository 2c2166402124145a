/** A webhook: what was sent, what became of it, and sending it again. */
import { patch, post } from "../api.js";
import { useGet, useList } from "../fetched.js";
import { whole } from "../format.js";
import { Copy, Doing, Empty, Head, Loaded, More, Panel, Rows, Status, Tag, When, toast } from "../parts.js";
import { session } from "../session.js";
import { html, useState } from "../vendor/preact.js";
import { DeleteWebhook } from "../webhook_forms.js";

export function Page({ id }) {
  const hook = useGet(`/v1/webhooks/${id}`);
  const deliveries = useList(`/v1/webhooks/${id}/deliveries?limit=50`, { every: 4000 });
  return html`<${Loaded} from=${hook}>${(found) => html`
    <${Head} title=${found.url} crumbs=${[["Webhooks", "#/webhooks"]]} about=${html`<${Status} of=${found.enabled ? "active" : "off"} /> <${Copy} text=${found.id} />`}>
      ${session.reaches("submitter") && html`<${Actions} hook=${found} changed=${hook.set} sent=${deliveries.reload} />`}
    </${Head}>
    <div class="stack">
      <${Panel} title="Events"><p>${found.events.map((event) => html`<${Tag}>${event}</${Tag}> `)}</p></${Panel}>
      <${Panel} title="Deliveries of the last 30 days" label=${null} flush><${Loaded} from=${deliveries}>${(items) => (items.length ? html`<${Table} items=${items} hook=${found} sent=${deliveries.reload} />` : html`<${Empty} title="Nothing was sent yet">Send a ping to see whether the address answers.</${Empty}>`)}</${Loaded}></${Panel}>
      <${More} of=${deliveries}>Show older deliveries</${More}>
    </div>`}</${Loaded}>`;
}

function Actions({ hook, changed, sent }) {
  const [asked, ask] = useState(false);
  const ping = async () => {
    await post(`/v1/webhooks/${hook.id}/ping`);
    toast("A ping is on its way");
    await sent();
  };
  const turn = async () => changed(await patch(`/v1/webhooks/${hook.id}`, { enabled: !hook.enabled }));
  return html`<${Doing} does=${ping}>Send a ping</${Doing}><${Doing} does=${turn}>${hook.enabled ? "Turn off" : "Turn on"}</${Doing}>
    <button class="button danger" onClick=${() => ask(true)}>Delete</button>
    ${asked && html`<${DeleteWebhook} hook=${hook} close=${() => ask(false)} />`}`;
}

function Table({ items, hook, sent }) {
  const again = (one) => async () => {
    await post(`/v1/webhooks/${hook.id}/deliveries/${one.id}/redeliver`);
    await sent();
  };
  return html`<${Rows} label="Deliveries" rows=${items} columns=${[
    ["Event", (one) => html`<span class="cell-main">${one.type}</span><span class="cell-sub mono">${one.payload?.data?.id}</span>`],
    ["Status", (one) => html`<${Status} of=${one.status} />`],
    ["Answer", (one) => html`${one.code ?? "–"}<span class="cell-sub">${one.error}</span>`],
    ["Tries", (one) => whole(one.attempts), "number"],
    ["When", (one) => html`<${When} at=${one.created_at} />`, "number"],
    [html`<span class="hidden-visually">Actions</span>`, (one) => session.reaches("submitter") && one.status !== "pending" && html`<div class="row end"><${Doing} kind="tiny" does=${again(one)}>Send again</${Doing}></div>`],
  ]} />`;
}
