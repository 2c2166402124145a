/** Modal dialogs: the plain dialog, confirmation, and a secret that is shown once. */
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { ActionButton, CopyButton, ErrorNotice } from "./components.js";

/** A modal dialog. The browser keeps the focus inside, and Escape closes it. */
export function Dialog({ title, children, onClose }) {
  const dialog = useRef();
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  return html`<dialog class="dialog" ref=${dialog} aria-labelledby="dialog-title"
    onClose=${onClose}>
    <h2 id="dialog-title">${title}</h2>${children}
  </dialog>`;
}

/**
 * A dialog that runs `onConfirm` and closes, or stays open and shows the error. `onConfirm` returns
 * true to keep the dialog open. `onError` is called with the error as well.
 */
export function ConfirmDialog({
  title, text, label, dismissLabel = "Cancel", kind = "primary", disabled = false,
  onConfirm, onClose, onError = () => {}, children,
}) {
  const [error, setError] = useState(null);
  const confirm = async () => {
    setError(null);
    if ((await onConfirm()) !== true) onClose();
  };
  const fail = (requestError) => {
    setError(requestError);
    onError(requestError);
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <div class="stack">
      ${text && html`<p>${text}</p>`}${children}<${ErrorNotice} error=${error} />
    </div>
    <div class="actions">
      <button type="button" class="button" onClick=${onClose}>${dismissLabel}</button>
      <${ActionButton} kind=${kind} onClick=${confirm} onError=${fail} disabled=${disabled}>
        ${label}
      </${ActionButton}>
    </div>
  </${Dialog}>`;
}

/** Shows a secret that the service returns only once, with a copy button. */
export const SecretDialog = ({ title, label, secret, onClose }) => html`
  <${Dialog} title=${title} onClose=${onClose}>
    <${SecretNotice} label=${label} secret=${secret} />
    <div class="actions">
      <${CopyButton} text=${secret}>Copy</${CopyButton}>
      <button class="button primary" onClick=${onClose}>Done</button>
    </div>
  </${Dialog}>`;

const SecretNotice = ({ label, secret }) => html`<div class="notice good"><div>
  <strong>${label}</strong>
  <p>Copy it now. The service does not store it and cannot show it again.</p>
  <pre class="code secret" tabindex="0">${secret}</pre>
</div></div>`;
