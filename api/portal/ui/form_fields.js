/** Form fields with labels, hints and errors. */
import { html } from "../vendor/preact.js";

export const Checkbox = ({ label, value, onChange }) => html`<label class="check">
  <input type="checkbox" checked=${value} onChange=${(event) => onChange(event.target.checked)} />
  <span>${label}</span>
</label>`;

/**
 * A labeled input. With `options` ([value, label]) it is a select, with `long` a text area. `error`
 * is the service's message about this field. Other props go to the input.
 */
export function FormField(
  { id, label, hint, value, onChange, options, long = false, error = "", ...inputProps },
) {
  const update = (event) => onChange(event.target.value);
  const errorId = `${id}-error`;
  const input = options
    ? html`<select class="input" id=${id} value=${value} onChange=${update} ...${inputProps}>
        ${options.map(([name, text]) => html`<option value=${name} selected=${name === value}>
          ${text}
        </option>`)}
      </select>`
    : html`<${long ? "textarea" : "input"} class="input" id=${id} value=${value} onInput=${update}
        autocomplete="off" aria-invalid=${String(Boolean(error))}
        aria-describedby=${error ? errorId : undefined} ...${inputProps} />`;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${input}
    ${error && html`<span class="field-error" id=${errorId}>${error}</span>`}
    ${hint && html`<span class="hint">${hint}</span>`}
  </div>`;
}

/** A text input for a filter. Other props go to the input. */
export const SearchInput = ({ label, value, onChange, ...inputProps }) => html`<input class="input"
  type="search" aria-label=${label} value=${value ?? ""}
  onInput=${(event) => onChange(event.target.value)} ...${inputProps} />`;

/** A choice of several options (a list of strings), as checkboxes under one legend. */
export function CheckboxGroup({ label, options, value, onChange, hint }) {
  const toggle = (name) => (checked) =>
    onChange(checked ? [...value, name] : value.filter((other) => other !== name));
  const boxes = options.map((name) => html`<${Checkbox} key=${name} label=${name}
    value=${value.includes(name)} onChange=${toggle(name)} />`);
  return html`<fieldset class="field checkbox-group">
    <legend class="label">${label}</legend>
    <div class="checkbox-list">${boxes}</div>
    ${hint && html`<span class="hint">${hint}</span>`}
  </fieldset>`;
}

/** Return a function that finds the service's message about the field at a JSON pointer. */
export const errorFinder = (fieldErrors = []) => (pointer) =>
  fieldErrors.find((fieldError) => fieldError.pointer === pointer)?.message ?? "";
