/** Forms from JSON schemas: a field per property, with the schema's texts, limits and defaults. */
import { html } from "../vendor/preact.js";

/**
 * The fields of an object schema. `value` holds only what the user changed, so that the service's
 * defaults apply to the rest. `errorFor(name)` returns the service's message about a field. `only`
 * and `skip` select properties by name.
 */
export function SchemaFields({
  schema, value, onChange, id, errorFor = () => "", skip = [], only = null,
  definitions = schema.$defs ?? {},
}) {
  const isSelected = (name) => !skip.includes(name) && (!only || only.includes(name));
  const names = Object.keys(schema.properties ?? {}).filter(isSelected);
  const setField = (name) => (fieldValue) => {
    const next = { ...value, [name]: fieldValue };
    if (fieldValue === undefined) delete next[name];
    onChange(next);
  };
  const fields = names.map((name) => {
    const [fieldSchema, nullable] = unwrapSchema(schema.properties[name], definitions);
    if (fieldSchema.const !== undefined) return null;
    return html`<${SchemaField} key=${name} id=${`${id}-${name}`} name=${name}
      schema=${fieldSchema} nullable=${nullable} value=${value[name]} onChange=${setField(name)}
      error=${errorFor(name)} />`;
  });
  return html`${fields}`;
}

/** Return [schema, nullable] of a property, without references and the null alternative. */
function unwrapSchema(schema, definitions) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return unwrapSchema(definitions[name] ?? {}, definitions);
  }
  if (!schema.anyOf) return [schema, false];
  const alternatives = schema.anyOf.filter((alternative) => alternative.type !== "null");
  if (alternatives.length !== 1) return [schema, true];
  const [inner] = unwrapSchema(alternatives[0], definitions);
  return [{ ...inner, ...schemaAnnotations(schema) }, true];
}

function schemaAnnotations({ title, description, default: defaultValue }) {
  const annotations = Object.entries({ title, description, default: defaultValue });
  return Object.fromEntries(annotations.filter(([, value]) => value !== undefined));
}

/** Turn "learning_rate" into "Learning rate". */
const fieldLabel = (name) =>
  name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());

function SchemaField({ id, name, schema, nullable, value, onChange, error }) {
  const Input = inputFor(schema);
  const aboutId = `${id}-about`;
  const inputProps = {
    id,
    "aria-describedby": schema.description || error ? aboutId : undefined,
    "aria-invalid": String(Boolean(error)),
  };
  const label = fieldLabel(name);
  const input = html`<${Input} inputProps=${inputProps} schema=${schema} nullable=${nullable}
    value=${value} onChange=${onChange} label=${label} />`;
  return html`<div class="field">
    ${Input !== CheckboxInput && html`<label for=${id}>${label}</label>`}
    ${input}
    <span id=${aboutId}>
      ${error && html`<span class="field-error">${error}</span> `}
      ${schema.description && html`<span class="hint">${schema.description}</span>`}
    </span>
  </div>`;
}

function inputFor(schema) {
  if (schema.enum) return SelectInput;
  if (schema.type === "boolean") return CheckboxInput;
  if (schema.type === "integer" || schema.type === "number") return NumberInput;
  if (schema.type === "string") return TextInput;
  const isNumberList =
    schema.type === "array" && ["number", "integer"].includes(schema.items?.type);
  return isNumberList ? NumberListInput : JsonInput; // nested objects are too rare for a form
}

function SelectInput({ inputProps, schema, nullable, value, onChange }) {
  const defaultValue = schema.default ?? "";
  const select = ({ target }) => onChange(target.value === defaultValue ? undefined : target.value);
  return html`<select class="input" ...${inputProps} value=${value ?? defaultValue}
    onChange=${select}>
    ${nullable && html`<option value="">–</option>`}
    ${schema.enum.map((option) => html`<option value=${option}>${option}</option>`)}
  </select>`;
}

function CheckboxInput({ inputProps, schema, value, onChange, label }) {
  const defaultValue = schema.default ?? false;
  const check = ({ target }) =>
    onChange(target.checked === defaultValue ? undefined : target.checked);
  return html`<label class="check">
    <input type="checkbox" ...${inputProps} checked=${value ?? defaultValue} onChange=${check} />
    <span>${label}</span>
  </label>`;
}

function NumberInput({ inputProps, schema, value, onChange }) {
  const update = ({ target }) => onChange(target.value === "" ? undefined : Number(target.value));
  return html`<input class="input" type="number" ...${inputProps}
    step=${schema.type === "integer" ? 1 : "any"} min=${schema.minimum ?? schema.exclusiveMinimum}
    max=${schema.maximum ?? schema.exclusiveMaximum} value=${value ?? ""}
    placeholder=${schema.default ?? "not set"} onInput=${update} />`;
}

const TextInput = ({ inputProps, schema, value, onChange }) => html`<input class="input"
  ...${inputProps} maxlength=${schema.maxLength} value=${value ?? ""}
  placeholder=${schema.default || "not set"}
  onInput=${(event) => onChange(event.target.value || undefined)} />`;

/** A value without an input of its own, edited as JSON. Invalid JSON is not applied. */
function JsonInput({ inputProps, value, onChange }) {
  const update = ({ target }) => {
    try {
      onChange(target.value.trim() ? JSON.parse(target.value) : undefined);
      target.setCustomValidity("");
    } catch {
      target.setCustomValidity("Enter valid JSON.");
    }
    target.reportValidity();
  };
  const text = value === undefined ? "" : JSON.stringify(value);
  return html`<textarea class="input mono" ...${inputProps} placeholder="JSON"
    onChange=${update}>${text}</textarea>`;
}

function NumberListInput({ inputProps, schema, value, onChange }) {
  const defaultText = (schema.default ?? []).map((number) => +number.toFixed(4)).join(", ");
  const update = ({ target }) => {
    const numbers = target.value.split(/[\s,]+/).filter(Boolean).map(Number);
    onChange(numbers.length ? numbers : undefined);
  };
  return html`<input class="input" ...${inputProps} value=${(value ?? []).join(", ")}
    placeholder=${defaultText || "comma-separated numbers"} onChange=${update} />`;
}
