/** The delete button of a resource, with a confirmation dialog. */
import { remove } from "../lib/api.js";
import { navigate } from "../lib/router.js";
import { html, useState } from "../vendor/preact.js";
import { ConfirmDialog } from "./dialogs.js";
import { Checkbox } from "./form_fields.js";
import { toast } from "./toast.js";

/**
 * Deletes `/v1{collection}/{id}` after a confirmation, then goes to the page of the collection.
 * `noun` and `name` identify the resource for the user. `options` are checkboxes that add a query
 * parameter, as {parameter, label, errorCode}: one with an `errorCode` appears once the service has
 * refused the deletion with that code.
 */
export function DeleteButton({ noun, collection, id, name, text, options = [] }) {
  const [open, setOpen] = useState(false);
  const [errorCode, setErrorCode] = useState(null);
  const [checked, setChecked] = useState(false);
  const option = options.find((other) => !other.errorCode || other.errorCode === errorCode);
  const deleteResource = async () => {
    await remove(`/v1${collection}/${id}${option && checked ? `?${option.parameter}=true` : ""}`);
    toast(`${name} was deleted`);
    navigate(collection);
  };
  const close = () => {
    setOpen(false);
    setErrorCode(null);
    setChecked(false);
  };
  const dialog = open && html`<${ConfirmDialog} title=${`Delete this ${noun}?`} text=${text}
    label="Delete" kind="danger" onConfirm=${deleteResource} onClose=${close}
    onError=${(error) => setErrorCode(error.code)}>
    ${option && html`<${Checkbox} label=${option.label} value=${checked} onChange=${setChecked} />`}
  </${ConfirmDialog}>`;
  return html`
    <button class="button danger" onClick=${() => setOpen(true)}>Delete</button>${dialog}`;
}
