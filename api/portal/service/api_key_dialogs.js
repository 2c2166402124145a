/** Dialogs to create, rotate and revoke API keys. */
import { post } from "../lib/api.js";
import { useSchemaEnums } from "../lib/openapi.js";
import { Role } from "../lib/session.js";
import { ErrorNotice } from "../ui/components.js";
import { ConfirmDialog, SecretDialog } from "../ui/dialogs.js";
import { CheckboxGroup, FormField } from "../ui/form_fields.js";
import { toast } from "../ui/toast.js";
import { html, useState } from "../vendor/preact.js";

const MS_PER_DAY = 86_400_000;

/** Lifetimes of a new key, in days. */
const EXPIRY_OPTIONS = [
  ["", "Never"], ["7", "In 7 days"], ["30", "In 30 days"], ["90", "In 90 days"],
  ["365", "In a year"],
];

/** How long the old secret stays valid after a rotation, in seconds. */
const GRACE_PERIOD_OPTIONS = [
  ["0", "Immediately"], ["3600", "In 1 hour"], ["86400", "In 1 day"], ["604800", "In 7 days"],
];

export function CreateKeyDialog({ onClose }) {
  const { enums, error } = useSchemaEnums();
  const [created, setCreated] = useState(null);
  const [form, setForm] = useState({
    name: "", role: Role.SUBMITTER, owner: "", days: "90", scopes: [],
  });
  const fieldProps = (name) => ({
    value: form[name],
    onChange: (value) => setForm((old) => ({ ...old, [name]: value })),
  });
  const create = async () => {
    const { days, owner, ...fields } = form;
    const expiry = days ? new Date(Date.now() + Number(days) * MS_PER_DAY).toISOString() : null;
    const body = { ...fields, owner: owner.trim() || null, expires_at: expiry };
    setCreated(await post("/v1/keys", body));
    return true;
  };
  if (created) {
    return html`<${SecretDialog} title="API key created" label=${`Key for ${created.name}`}
      secret=${created.key} onClose=${onClose} />`;
  }
  const roles = enums?.roles ?? [form.role];
  return html`<${ConfirmDialog} title="New API key" label="Create key" onConfirm=${create}
    onClose=${onClose} disabled=${!form.name.trim()}>
    <${ErrorNotice} error=${error} />
    <${FormField} id="key-name" label="Name" required
      hint="Who or what uses the key, e.g. build server" ...${fieldProps("name")} />
    <${FormField} id="key-role" label="Role" options=${roles.map((role) => [role, role])}
      ...${fieldProps("role")} />
    <${FormField} id="key-owner" label="Owner" placeholder="team-vision"
      hint="Keys of the same owner share resources. Leave empty to create a new owner."
      ...${fieldProps("owner")} />
    <${FormField} id="key-days" label="Expires" options=${EXPIRY_OPTIONS}
      ...${fieldProps("days")} />
    ${enums && html`<${CheckboxGroup} label="Scopes" options=${enums.scopes}
      hint="If you select no scopes, the key can do everything that its role allows."
      ...${fieldProps("scopes")} />`}
  </${ConfirmDialog}>`;
}

export function RotateKeyDialog({ apiKey, onClose }) {
  const [gracePeriod, setGracePeriod] = useState("86400");
  const [rotated, setRotated] = useState(null);
  const rotate = async () => {
    const body = { grace_seconds: Number(gracePeriod) };
    setRotated(await post(`/v1/keys/${apiKey.id}/rotate`, body));
    return true;
  };
  if (rotated) {
    return html`<${SecretDialog} title="API key rotated" label=${`New key for ${rotated.name}`}
      secret=${rotated.key} onClose=${onClose} />`;
  }
  return html`<${ConfirmDialog} title=${`Rotate ${apiKey.name}?`}
    text="The key gets a new secret. Its name, role, owner and scopes do not change."
    label="Rotate" onConfirm=${rotate} onClose=${onClose}>
    <${FormField} id="grace-period" label="Current secret expires" options=${GRACE_PERIOD_OPTIONS}
      value=${gracePeriod} onChange=${setGracePeriod} />
  </${ConfirmDialog}>`;
}

export function RevokeKeyDialog({ apiKey, onClose }) {
  const revoke = async () => {
    await post(`/v1/keys/${apiKey.id}/revoke`);
    toast(`${apiKey.name} was revoked`);
  };
  return html`<${ConfirmDialog} title=${`Revoke ${apiKey.name}?`}
    text="The key stops working immediately and permanently. Its jobs and models are kept."
    label="Revoke" kind="danger" onConfirm=${revoke} onClose=${onClose} />`;
}
