/** Questions over the page, and their fields. */
import { Dialog, Doing, Refusal } from "./parts.js";
import { html, useState } from "./vendor/preact.js";

/**
 * A dialog whose one button works and closes it, or shows why not. `does` may return true to stay open (something is shown then);
 * `heard` is told of a refusal, for a question that has an answer to it.
 */
export function Question({ title, text, words, kind = "primary", does, close, heard = () => {}, disabled = false, children }) {
  const [problem, fail] = useState(null);
  const work = async () => {
    fail(null);
    if ((await does()) !== true) close();
  };
  const refused = (found) => {
    fail(found);
    heard(found);
  };
  return html`<${Dialog} title=${title} close=${close}>
    <div class="stack">${text && html`<p>${text}</p>`}${children}<${Refusal} problem=${problem} /></div>
    <div class="actions"><button type="button" class="button" onClick=${close}>Leave it</button><${Doing} kind=${kind} does=${work} fail=${refused} disabled=${disabled}>${words}</${Doing}></div>
  </${Dialog}>`;
}

export const Check = ({ words, value, set }) => html`<label class="check"><input type="checkbox" checked=${value} onChange=${(event) => set(event.target.checked)} /><span>${words}</span></label>`;

/** A labelled input; `options` ([value, words]) make it a select, `long` a box for text; `wrong` is what the service says of it. */
export const Field = ({ id, words, hint, value, set, options, long = false, wrong = "", ...rest }) => html`<div class="field">
  <label for=${id}>${words}</label>
  ${options
    ? html`<select class="input" id=${id} value=${value} onChange=${(event) => set(event.target.value)} ...${rest}>${options.map(([name, text]) => html`<option value=${name} selected=${name === value}>${text}</option>`)}</select>`
    : html`<${long ? "textarea" : "input"} class="input" id=${id} value=${value} onInput=${(event) => set(event.target.value)} autocomplete="off"
        aria-invalid=${String(Boolean(wrong))} aria-describedby=${wrong ? `${id}-wrong` : undefined} ...${rest} />`}
  ${wrong && html`<span class="wrong" id=${`${id}-wrong`}>${wrong}</span>`}${hint && html`<span class="hint">${hint}</span>`}
</div>`;

/** Several of many: boxes under one legend. `options` are words. */
export const Picks = ({ words, options, value, set, hint }) => html`<fieldset class="field picks">
  <legend class="label">${words}</legend>
  <div class="pick-box">${options.map((name) => html`<label class="check" key=${name}><input type="checkbox" checked=${value.includes(name)} onChange=${(event) => set(event.target.checked ? [...value, name] : value.filter((one) => one !== name))} /><span>${name}</span></label>`)}</div>
  ${hint && html`<span class="hint">${hint}</span>`}
</fieldset>`;

/** What is shown once and never again. */
export const Once = ({ words, secret }) => html`<div class="notice good"><div>
  <strong>${words}</strong>
  <p>Copy it now: the service keeps no copy, and does not show it again.</p>
  <pre class="code once" tabindex="0">${secret}</pre>
</div></div>`;
