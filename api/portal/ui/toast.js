/** Toasts: short messages in the corner of the page, announced by screen readers. */
import { html, useEffect, useState } from "../vendor/preact.js";

const VISIBLE_MS = 6000;
const MAX_TOASTS = 3;
let showToast = () => {};

/** Show a message for a few seconds. `tone` is "good" or "bad". */
export function toast(title, text = "", tone = "good") {
  showToast({ id: crypto.randomUUID?.() ?? String(Math.random()), title, text, tone });
}

export function ToastContainer() {
  const [toasts, setToasts] = useState([]);
  useEffect(() => {
    showToast = (added) => {
      setToasts((old) => [...old.slice(1 - MAX_TOASTS), added]);
      const hide = () => setToasts((old) => old.filter((other) => other.id !== added.id));
      setTimeout(hide, VISIBLE_MS);
    };
  }, []);
  const notices = toasts.map(
    ({ id, title, text, tone }) => html`<div key=${id} class="notice ${tone}"><div>
      <strong>${title}</strong>${text && html`<p>${text}</p>`}
    </div></div>`,
  );
  return html`<div class="toasts" role="status" aria-live="polite">${notices}</div>`;
}
