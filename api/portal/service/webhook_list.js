/** The list of webhooks. */
import { usePaginatedList } from "../lib/hooks.js";
import { Role, session } from "../lib/session.js";
import {
  AsyncContent, DataTable, EmptyState, LoadMoreButton, PageHeader, Panel, RelativeTime,
  StatusBadge, TagList,
} from "../ui/components.js";
import { html, useState } from "../vendor/preact.js";
import { CreateWebhookDialog } from "./webhook_dialogs.js";

export function Page() {
  const webhooks = usePaginatedList("/v1/webhooks?limit=50");
  const [open, setOpen] = useState(false);
  const newButton = session.hasRole(Role.SUBMITTER) && html`<button class="button primary"
    onClick=${() => setOpen(true)}>New webhook</button>`;
  const close = () => {
    setOpen(false);
    webhooks.reload();
  };
  return html`
    <${PageHeader} title="Webhooks" about=${"Notifications about your jobs and uploads, sent to a "
      + "URL that you choose and signed according to Standard Webhooks."}>
      ${newButton}
    </${PageHeader}>
    <${AsyncContent} query=${webhooks}>${(items) => html`<${Panel} flush label=${null}>
      ${items.length
        ? html`<${WebhookTable} webhooks=${items} />`
        : html`<${EmptyState} title="No webhooks yet" action=${newButton}>
            Instead of polling, let the service notify your program when a job succeeds or fails.
          </${EmptyState}>`}
    </${Panel}>`}</${AsyncContent}>
    <${LoadMoreButton} query=${webhooks}>Show older webhooks</${LoadMoreButton}>
    ${open && html`<${CreateWebhookDialog} onClose=${close} />`}`;
}

const WebhookTable = ({ webhooks }) => html`<${DataTable} label="Webhooks" rows=${webhooks}
  columns=${[
    ["URL", ({ id, url }) => html`<a class="cell-main" href=${`#/webhooks/${id}`}>${url}</a>`],
    ["Status", ({ enabled }) => html`<${StatusBadge} status=${enabled ? "active" : "disabled"} />`],
    ["Events", (webhook) => html`<${TagList} tags=${webhook.events} />`],
    ["Created", (webhook) => html`<${RelativeTime} time=${webhook.created_at} />`, "number"],
  ]} />`;
