/** Editing of a model's aliases, tags and notes, and its deletion. */
import { get, patch, put, remove } from "../lib/api.js";
import { Role, session } from "../lib/session.js";
import { ActionButton, ErrorNotice, Panel, Tag } from "../ui/components.js";
import { DeleteButton } from "../ui/delete_button.js";
import { ConfirmDialog } from "../ui/dialogs.js";
import { toast } from "../ui/toast.js";
import { html, useState } from "../vendor/preact.js";

const registryUrl = (model) => `/v1/registry/${encodeURIComponent(model.name)}`;
const aliasUrl = (model, alias) => `${registryUrl(model)}/aliases/${encodeURIComponent(alias)}`;

export function ModelAliases({ model, onUpdate }) {
  const [alias, setAlias] = useState("");
  const [error, setError] = useState(null);
  // The open dialog as {alias, current}. If `current` is unset, the dialog removes the alias.
  const [dialog, setDialog] = useState(null);
  const pointAlias = async (name) => {
    await put(aliasUrl(model, name), { model: model.id });
    setAlias("");
    toast(`${model.name}@${name} now points to version ${model.version}`);
    await onUpdate();
  };
  const submit = async () => {
    setError(null);
    const { aliases } = await get(registryUrl(model));
    const currentId = aliases[alias];
    if (!currentId || currentId === model.id) await pointAlias(alias);
    else setDialog({ alias, current: await get(`/v1/models/${currentId}`) });
  };
  const close = () => setDialog(null);
  // Only the owner of a model can point aliases to it
  const isEditable = session.hasRole(Role.SUBMITTER) && model.owner === session.me.owner;
  const items = model.aliases.map((name) => html`<li>
    <span class="tag alias">@${name}</span>
    ${isEditable && html`<button type="button" class="button plain tiny"
      aria-label=${`Remove alias ${name}`} onClick=${() => setDialog({ alias: name })}>
      Remove
    </button>`}
  </li>`);
  return html`<${Panel} title="Aliases"><div class="stack">
    ${items.length
      ? html`<ul class="chips">${items}</ul>`
      : html`<p class="muted">
          No aliases. An alias such as champion refers to this version wherever a model is
          expected: ${model.name}@champion.
        </p>`}
    ${isEditable && html`<${AddForm} label="Alias for this version" placeholder="champion"
      value=${alias} onChange=${setAlias} buttonLabel="Set alias" onSubmit=${submit}
      onError=${setError} />`}
    <${ErrorNotice} error=${error} />
    ${dialog?.current && html`<${ConfirmDialog} label="Move alias" onClose=${close}
      title=${`Move ${dialog.alias} to version ${model.version}?`}
      text=${`It currently points to version ${dialog.current.version}. After the move, requests `
        + `for ${model.name}@${dialog.alias} get version ${model.version}.`}
      onConfirm=${() => pointAlias(dialog.alias)} />`}
    ${dialog && !dialog.current && html`<${RemoveAliasDialog} model=${model} alias=${dialog.alias}
      onUpdate=${onUpdate} onClose=${close} />`}
  </div></${Panel}>`;
}

function RemoveAliasDialog({ model, alias, onUpdate, onClose }) {
  const removeAlias = async () => {
    await remove(aliasUrl(model, alias));
    await onUpdate();
  };
  return html`<${ConfirmDialog} title=${`Remove the alias ${alias}?`}
    text=${`The model is kept. Requests for ${model.name}@${alias} fail from then on.`}
    label="Remove alias" kind="danger" onConfirm=${removeAlias} onClose=${onClose} />`;
}

/** A text input and a button in a row. */
const AddForm = ({
  label, placeholder, value, onChange, buttonLabel, onSubmit, onError,
}) => html`<form class="row" onSubmit=${(event) => event.preventDefault()}>
  <input class="input short" aria-label=${label} placeholder=${placeholder} value=${value}
    onInput=${(event) => onChange(event.target.value.trim())} />
  <${ActionButton} type="submit" onClick=${onSubmit} onError=${onError} disabled=${!value}>
    ${buttonLabel}
  </${ActionButton}>
</form>`;

export function ModelTags({ model, onUpdate }) {
  const [tag, setTag] = useState("");
  const [error, setError] = useState(null);
  const saveTags = (tags) => async () => {
    setError(null);
    onUpdate(await patch(`/v1/models/${model.id}`, { tags }));
    setTag("");
  };
  const isEditable = session.hasRole(Role.SUBMITTER);
  const items = model.tags.map((name) => {
    const removeTag = saveTags(model.tags.filter((other) => other !== name));
    return html`<li key=${name}>
      <${Tag}>${name}</${Tag}>
      ${isEditable && html`<${ActionButton} kind="plain tiny" onClick=${removeTag}
        onError=${setError}>
        <span class="visually-hidden">Remove tag ${name}</span><span aria-hidden="true">×</span>
      </${ActionButton}>`}
    </li>`;
  });
  return html`<${Panel} title="Tags"><div class="stack">
    ${items.length
      ? html`<ul class="chips">${items}</ul>`
      : html`<p class="muted">No tags. The model list can be filtered by tag.</p>`}
    ${isEditable && html`<${AddForm} label="New tag" placeholder="shipped" value=${tag}
      onChange=${setTag} buttonLabel="Add tag" onSubmit=${saveTags([...model.tags, tag])}
      onError=${setError} />`}
    <${ErrorNotice} error=${error} />
  </div></${Panel}>`;
}

export function ModelNotes({ model, onUpdate }) {
  const [notes, setNotes] = useState(model.notes);
  const [error, setError] = useState(null);
  const save = async () => {
    setError(null);
    onUpdate(await patch(`/v1/models/${model.id}`, { notes }));
    toast("Notes saved");
  };
  if (!session.hasRole(Role.SUBMITTER)) {
    const text = model.notes || "No notes.";
    return html`<${Panel} title="Notes"><p class="notes">${text}</p></${Panel}>`;
  }
  return html`<${Panel} title="Notes"><div class="stack">
    <textarea class="input" aria-label="Notes" rows="4" value=${notes}
      onInput=${(event) => setNotes(event.target.value)}></textarea>
    <${ErrorNotice} error=${error} />
    <div class="row">
      <${ActionButton} onClick=${save} onError=${setError} disabled=${notes === model.notes}>
        Save notes
      </${ActionButton}>
    </div>
  </div></${Panel}>`;
}

/** Checkboxes that appear when the service refuses the deletion with the error code. */
const FORCE_OPTIONS = [
  {
    parameter: "force", errorCode: "model_aliased", label: "Delete the model and its aliases",
  },
  {
    parameter: "force", errorCode: "model_taught",
    label: "Delete anyway. In the lineage of its students, only the model's ID remains.",
  },
];

export const DeleteModelButton = ({ model }) => html`<${DeleteButton} noun="model"
  collection="/models" id=${model.id} name=${`${model.name} ${model.version}`}
  options=${FORCE_OPTIONS}
  text=${"Its files are deleted. The job that created it is kept, and its version number is not "
    + "reused. This cannot be undone."} />`;
