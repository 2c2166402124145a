/** The list of API keys. */
import { queryString } from "../lib/api.js";
import { formatDate, formatDateTime } from "../lib/format.js";
import { usePaginatedList } from "../lib/hooks.js";
import { updateQuery } from "../lib/router.js";
import {
  ACTIONS_HEADING, AsyncContent, DataTable, EmptyState, LoadMoreButton, PageHeader, Panel,
  RelativeTime, StatusBadge, TagList,
} from "../ui/components.js";
import { SearchInput } from "../ui/form_fields.js";
import { html, useState } from "../vendor/preact.js";
import { CreateKeyDialog, RevokeKeyDialog, RotateKeyDialog } from "./api_key_dialogs.js";

const DIALOGS = { create: CreateKeyDialog, rotate: RotateKeyDialog, revoke: RevokeKeyDialog };

export function Page({ query }) {
  const search = queryString({ limit: 50, owner: query.owner?.trim() });
  const keys = usePaginatedList(`/v1/keys${search}`);
  const [openDialog, setOpenDialog] = useState(null); // {name, apiKey}
  const close = () => {
    setOpenDialog(null);
    keys.reload();
  };
  const reset = html`<a class="button" href="#/keys">Show all keys</a>`;
  return html`
    <${PageHeader} title="API keys"
      about="A key has a role, an owner whose resources it can use, and scopes that restrict it.">
      <button class="button primary" onClick=${() => setOpenDialog({ name: "create" })}>
        New API key
      </button>
    </${PageHeader}>
    <div class="filters" role="search">
      <${SearchInput} label="Owner" placeholder="Owner" value=${query.owner}
        onChange=${(owner) => updateQuery({ owner })} />
    </div>
    <${AsyncContent} query=${keys}>${(items) => html`<${Panel} flush label=${null}>
      ${items.length
        ? html`<${KeyTable} keys=${items} onOpenDialog=${setOpenDialog} />`
        : html`<${EmptyState} title="No keys for this owner" action=${reset}>
            Partial names do not match. Enter the owner's name in full.
          </${EmptyState}>`}
    </${Panel}>`}</${AsyncContent}>
    <${LoadMoreButton} query=${keys}>Show older keys</${LoadMoreButton}>
    ${openDialog && html`<${DIALOGS[openDialog.name]} apiKey=${openDialog.apiKey}
      onClose=${close} />`}`;
}

function keyStatus(apiKey) {
  if (apiKey.revoked_at) return "revoked";
  const isExpired = apiKey.expires_at && new Date(apiKey.expires_at) < new Date();
  return isExpired ? "expired" : "active";
}

function KeyTable({ keys, onOpenDialog }) {
  const renderActions = (apiKey) => keyStatus(apiKey) === "active" && html`<div class="row end">
    <button class="button tiny" aria-label=${`Rotate ${apiKey.name}`}
      onClick=${() => onOpenDialog({ name: "rotate", apiKey })}>Rotate</button>
    <button class="button tiny danger" aria-label=${`Revoke ${apiKey.name}`}
      onClick=${() => onOpenDialog({ name: "revoke", apiKey })}>Revoke</button>
  </div>`;
  return html`<${DataTable} label="API keys" rows=${keys} columns=${[
    ["Name", ({ name, prefix }) => html`<span class="cell-main">${name}</span>
      <span class="cell-sub mono">dlkd_${prefix}_…</span>`],
    ["Status", (apiKey) => html`<${StatusBadge} status=${keyStatus(apiKey)} />`],
    ["Role", (apiKey) => apiKey.role],
    ["Owner", (apiKey) => html`<span class="mono small">${apiKey.owner}</span>`],
    ["Scopes", ({ scopes }) =>
      scopes.length ? html`<${TagList} tags=${scopes} />` : "all"],
    ["Last used", (apiKey) => html`<${RelativeTime} time=${apiKey.last_used_at} />`, "number"],
    ["Expires", (apiKey) => html`<${KeyExpiry} apiKey=${apiKey} />`, "number"],
    [ACTIONS_HEADING, renderActions],
  ]} />`;
}

function KeyExpiry({ apiKey: { expires_at: expiresAt, old_until: oldUntil } }) {
  const isOldValid = oldUntil && new Date(oldUntil) > new Date();
  return html`${expiresAt ? formatDate(expiresAt) : "never"}
    ${isOldValid && html`<span class="cell-sub">
      old secret until ${formatDateTime(oldUntil)}
    </span>`}`;
}
