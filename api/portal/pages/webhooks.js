/** Webhooks: who is told of what happens. */
import { useList } from "../fetched.js";
import { Empty, Head, Loaded, More, Panel, Rows, Status, Tag, When } from "../parts.js";
import { session } from "../session.js";
import { html, useState } from "../vendor/preact.js";
import { NewWebhook } from "../webhook_forms.js";

export function Page() {
  const hooks = useList("/v1/webhooks?limit=50");
  const [open, setOpen] = useState(false);
  const make = session.reaches("submitter") && html`<button class="button primary" onClick=${() => setOpen(true)}>New webhook</button>`;
  const close = () => {
    setOpen(false);
    hooks.reload();
  };
  return html`
    <${Head} title="Webhooks" about="The service tells an address of yours what happens to your jobs and uploads, signed as Standard Webhooks.">${make}</${Head}>
    <${Loaded} from=${hooks}>${(items) => html`<${Panel} flush label=${null}>${items.length ? html`<${Table} hooks=${items} />` : html`<${Empty} title="No webhooks yet" action=${make}>Instead of asking again and again, let the service tell your program when a job has succeeded or failed.</${Empty}>`}</${Panel}>`}</${Loaded}>
    <${More} of=${hooks}>Show older webhooks</${More}>
    ${open && html`<${NewWebhook} close=${close} />`}`;
}

const Table = ({ hooks }) => html`<${Rows} label="Webhooks" rows=${hooks} columns=${[
  ["Address", (hook) => html`<a class="cell-main" href=${`#/webhooks/${hook.id}`}>${hook.url}</a>`],
  ["Status", (hook) => html`<${Status} of=${hook.enabled ? "active" : "off"} />`],
  ["Events", (hook) => hook.events.map((event) => html`<${Tag}>${event}</${Tag}> `)],
  ["Made", (hook) => html`<${When} at=${hook.created_at} />`, "number"],
]} />`;
