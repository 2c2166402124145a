/** A webhook and its deliveries. */
import { patch, post } from "../lib/api.js";
import { formatInteger, MISSING_TEXT } from "../lib/format.js";
import { useFetch, usePaginatedList } from "../lib/hooks.js";
import { Role, session } from "../lib/session.js";
import {
  ActionButton, ACTIONS_HEADING, AsyncContent, CopyButton, DataTable, EmptyState, LoadMoreButton,
  PageHeader, Panel, RelativeTime, StatusBadge, TagList,
} from "../ui/components.js";
import { toast } from "../ui/toast.js";
import { html, useState } from "../vendor/preact.js";
import { DeleteWebhookDialog } from "./webhook_dialogs.js";

export function Page({ id }) {
  const webhookQuery = useFetch(`/v1/webhooks/${id}`);
  const path = `/v1/webhooks/${id}/deliveries?limit=50`;
  const deliveries = usePaginatedList(path, { intervalMs: 4000 });
  return html`<${AsyncContent} query=${webhookQuery}>${(webhook) => html`
    <${PageHeader} title=${webhook.url} breadcrumbs=${[["Webhooks", "#/webhooks"]]}
      about=${html`<${StatusBadge} status=${webhook.enabled ? "active" : "disabled"} />${" "}
        <${CopyButton} text=${webhook.id} />`}>
      ${session.hasRole(Role.SUBMITTER) && html`<${WebhookActions} webhook=${webhook}
        onUpdate=${webhookQuery.setData} onDelivery=${deliveries.reload} />`}
    </${PageHeader}>
    <div class="stack">
      <${Panel} title="Events"><p><${TagList} tags=${webhook.events} /></p></${Panel}>
      <${Panel} title="Deliveries in the last 30 days" label=${null} flush>
        <${AsyncContent} query=${deliveries}>${(items) =>
          items.length
            ? html`<${DeliveryTable} deliveries=${items} webhook=${webhook}
                onDelivery=${deliveries.reload} />`
            : html`<${EmptyState} title="No deliveries yet">
                Send a ping to test the URL.
              </${EmptyState}>`
        }</${AsyncContent}>
      </${Panel}>
      <${LoadMoreButton} query=${deliveries}>Show older deliveries</${LoadMoreButton}>
    </div>`}</${AsyncContent}>`;
}

function WebhookActions({ webhook, onUpdate, onDelivery }) {
  const [open, setOpen] = useState(false);
  const path = `/v1/webhooks/${webhook.id}`;
  const ping = async () => {
    await post(`${path}/ping`);
    toast("The ping is queued for delivery");
    await onDelivery();
  };
  const toggle = async () => onUpdate(await patch(path, { enabled: !webhook.enabled }));
  return html`
    <${ActionButton} onClick=${ping}>Send ping</${ActionButton}>
    <${ActionButton} onClick=${toggle}>${webhook.enabled ? "Disable" : "Enable"}</${ActionButton}>
    <button class="button danger" onClick=${() => setOpen(true)}>Delete</button>
    ${open && html`<${DeleteWebhookDialog} webhook=${webhook} onClose=${() => setOpen(false)} />`}`;
}

function DeliveryTable({ deliveries, webhook, onDelivery }) {
  const resend = (delivery) => async () => {
    await post(`/v1/webhooks/${webhook.id}/deliveries/${delivery.id}/redeliver`);
    await onDelivery();
  };
  const renderActions = (delivery) =>
    session.hasRole(Role.SUBMITTER) && delivery.status !== "pending" && html`<div class="row end">
      <${ActionButton} kind="tiny" onClick=${resend(delivery)}>Resend</${ActionButton}>
    </div>`;
  return html`<${DataTable} label="Deliveries" rows=${deliveries} columns=${[
    ["Event", ({ type, payload }) => html`<span class="cell-main">${type}</span>
      <span class="cell-sub mono">${payload?.data?.id}</span>`],
    ["Status", (delivery) => html`<${StatusBadge} status=${delivery.status} />`],
    ["Response", ({ code, error }) => html`${code ?? MISSING_TEXT}
      <span class="cell-sub">${error}</span>`],
    ["Attempts", (delivery) => formatInteger(delivery.attempts), "number"],
    ["Time", (delivery) => html`<${RelativeTime} time=${delivery.created_at} />`, "number"],
    [ACTIONS_HEADING, renderActions],
  ]} />`;
}
