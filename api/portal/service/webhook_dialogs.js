/** Dialogs to create and delete webhooks. */
import { post, remove } from "../lib/api.js";
import { useSchemaEnums } from "../lib/openapi.js";
import { navigate } from "../lib/router.js";
import { ErrorNotice } from "../ui/components.js";
import { ConfirmDialog, SecretDialog } from "../ui/dialogs.js";
import { CheckboxGroup, FormField } from "../ui/form_fields.js";
import { html, useState } from "../vendor/preact.js";

const DEFAULT_EVENTS = ["job.succeeded", "job.failed"];

export function CreateWebhookDialog({ onClose }) {
  const { enums, error } = useSchemaEnums();
  const [created, setCreated] = useState(null);
  const [url, setUrl] = useState("");
  const [events, setEvents] = useState(DEFAULT_EVENTS);
  const create = async () => {
    setCreated(await post("/v1/webhooks", { url: url.trim(), events }));
    return true;
  };
  if (created) {
    return html`<${SecretDialog} title="Webhook created" label="Signing secret"
      secret=${created.secret} onClose=${onClose} />`;
  }
  return html`<${ConfirmDialog} title="New webhook" label="Create webhook" onConfirm=${create}
    onClose=${onClose} disabled=${!url.trim() || !events.length}>
    <${ErrorNotice} error=${error} />
    <${FormField} id="webhook-url" label="URL" type="url" value=${url} onChange=${setUrl}
      placeholder="https://example.com/hooks/dlkd"
      hint="The service must be able to reach this URL." />
    ${enums && html`<${CheckboxGroup} label="Events" options=${enums.events} value=${events}
      onChange=${setEvents} hint="Select at least one." />`}
  </${ConfirmDialog}>`;
}

export function DeleteWebhookDialog({ webhook, onClose }) {
  const deleteWebhook = async () => {
    await remove(`/v1/webhooks/${webhook.id}`);
    navigate("/webhooks");
  };
  return html`<${ConfirmDialog} title="Delete this webhook?"
    text="Its delivery history is deleted, and pending notifications are not sent."
    label="Delete" kind="danger" onConfirm=${deleteWebhook} onClose=${onClose} />`;
}
