/** Forms from JSON schemas: one field for each property, with the schema's own words, limits and defaults. */
import { html } from "./vendor/preact.js";

const DOCUMENT = "/openapi.json";
let loading = null;

/** The schema of that name in the API's description. */
export async function schemaOf(name) {
  loading ??= fetch(DOCUMENT).then((answer) => answer.json());
  return (await loading).components.schemas[name];
}

/** The schemas of the kinds that a list of tagged objects may hold, by their tags. */
export async function kindsOf({ items }) {
  const mapping = Object.entries(items.discriminator.mapping);
  return Object.fromEntries(await Promise.all(mapping.map(async ([tag, address]) => [tag, await schemaOf(address.split("/").at(-1))])));
}

/** A property without its wrapping: [schema, may be null]. */
function plain(schema, definitions) {
  if (schema.$ref) return plain(definitions[schema.$ref.split("/").at(-1)] ?? {}, definitions);
  if (!schema.anyOf) return [schema, false];
  const real = schema.anyOf.filter((one) => one.type !== "null");
  return real.length === 1 ? [{ ...plain(real[0], definitions)[0], ...outer(schema) }, true] : [schema, true];
}

const outer = ({ title, description, default: usual }) => Object.fromEntries(Object.entries({ title, description, default: usual }).filter(([, value]) => value !== undefined));

/**
 * The fields of an object's schema. `value` holds what was changed and nothing else: defaults stay the service's. `wrong(name)` is
 * what the service says of a field; `skip` are names that are shown elsewhere.
 */
export function Fields({ schema, value, change, id, wrong = () => "", skip = [], only = null, definitions = schema.$defs ?? {} }) {
  const names = Object.keys(schema.properties ?? {}).filter((name) => !skip.includes(name) && (!only || only.includes(name)));
  const set = (name) => (given) => {
    const next = { ...value };
    if (given === undefined) delete next[name];
    else next[name] = given;
    change(next);
  };
  return html`${names.map((name) => {
    const [inner, nullable] = plain(schema.properties[name], definitions);
    if (inner.const !== undefined) return null;
    return html`<${Field} key=${name} id=${`${id}-${name}`} name=${name} schema=${inner} nullable=${nullable} value=${value[name]} set=${set(name)} wrong=${wrong(name)} />`;
  })}`;
}

const words = (name) => name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());

function Field({ id, name, schema, nullable, value, set, wrong }) {
  const Input = inputOf(schema);
  if (!Input) return null;
  const told = { id, "aria-describedby": schema.description || wrong ? `${id}-about` : undefined, "aria-invalid": String(Boolean(wrong)) };
  const about = html`<span id=${`${id}-about`}>${wrong && html`<span class="wrong">${wrong}</span> `}${schema.description && html`<span class="hint">${schema.description}</span>`}</span>`;
  if (Input === Check) return html`<div class="field"><${Check} told=${told} schema=${schema} value=${value} set=${set} label=${words(name)} />${about}</div>`;
  return html`<div class="field"><label for=${id}>${words(name)}</label><${Input} told=${told} schema=${schema} nullable=${nullable} value=${value} set=${set} />${about}</div>`;
}

function inputOf(schema) {
  if (schema.enum) return Choice;
  if (schema.type === "boolean") return Check;
  if (schema.type === "integer" || schema.type === "number") return Number_;
  if (schema.type === "string") return Text;
  if (schema.type === "array" && ["number", "integer"].includes(schema.items?.type)) return Numbers;
  return Json; // nested: rare enough to be written as it is
}

const Choice = ({ told, schema, nullable, value, set }) => html`<select class="input" ...${told} value=${value ?? schema.default ?? ""} onChange=${(event) => set(event.target.value === (schema.default ?? "") ? undefined : event.target.value)}>
  ${nullable && html`<option value="">–</option>`}${schema.enum.map((one) => html`<option value=${one}>${one}</option>`)}
</select>`;

const Check = ({ told, schema, value, set, label }) => html`<label class="check"><input type="checkbox" ...${told} checked=${value ?? schema.default ?? false} onChange=${(event) => set(event.target.checked === (schema.default ?? false) ? undefined : event.target.checked)} /><span>${label}</span></label>`;

const Number_ = ({ told, schema, value, set }) => html`<input class="input" type="number" ...${told} step=${schema.type === "integer" ? 1 : "any"} min=${schema.minimum ?? schema.exclusiveMinimum} max=${schema.maximum ?? schema.exclusiveMaximum}
  value=${value ?? ""} placeholder=${schema.default ?? "left out"} onInput=${(event) => set(event.target.value === "" ? undefined : Number(event.target.value))} />`;

const Text = ({ told, schema, value, set }) => html`<input class="input" ...${told} maxlength=${schema.maxLength} value=${value ?? ""} placeholder=${schema.default || "left out"} onInput=${(event) => set(event.target.value || undefined)} />`;

/** A value that fits no other field, as JSON. What is not JSON yet is not taken over. */
function Json({ told, value, set }) {
  const change = (event) => {
    try {
      set(event.target.value.trim() ? JSON.parse(event.target.value) : undefined);
      event.target.setCustomValidity("");
    } catch {
      event.target.setCustomValidity("This is not JSON.");
    }
    event.target.reportValidity();
  };
  return html`<textarea class="input mono" ...${told} placeholder="as JSON" onChange=${change}>${value === undefined ? "" : JSON.stringify(value)}</textarea>`;
}

const Numbers = ({ told, schema, value, set }) => html`<input class="input" ...${told} value=${(value ?? []).join(", ")} placeholder=${(schema.default ?? []).map((one) => +one.toFixed(4)).join(", ") || "numbers, by commas"}
  onChange=${(event) => set(event.target.value.trim() ? event.target.value.split(/[\s,]+/).filter(Boolean).map(Number) : undefined)} />`;
