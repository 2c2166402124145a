/** The fields of a job's spec: student, method, training, export, and the job's own settings. */
import { Panel } from "../ui/components.js";
import { Checkbox } from "../ui/form_fields.js";
import { SchemaFields } from "../ui/schema_form.js";
import { html } from "../vendor/preact.js";

const BASIC_FIELDS = ["epochs", "batch_size", "learning_rate", "seed"];
const ADVANCED_JOB_FIELDS = ["notes", "model_name", "priority", "max_seconds"];

/** Return a function that maps a property's name to the error at `pointer`/name. */
const errorsUnder = (errorFor, pointer) => (name) => errorFor(`${pointer}/${name}`);

/** Fields behind a disclosure triangle. */
const MoreFields = ({ summary, children }) => html`<details class="more">
  <summary>${summary}</summary><div class="fields">${children}</div>
</details>`;

export function StudentFields({ value, onChange, errorFor, catalog, hasTeacher }) {
  const architectures = catalog.allArchitectures;
  const selected = architectures.find(({ name }) => name === value.architecture);
  const error = errorFor("/student/architecture");
  const setArchitecture = (event) =>
    onChange({ ...value, architecture: event.target.value.trim(), options: {} });
  const hint = selected
    ? describeArchitecture(selected)
    : `${architectures.length} architectures available. Type to search.`;
  const hasOptions = Object.keys(selected?.schema?.properties ?? {}).length > 0;
  const inheritsWeights = value.init === "teacher";
  return html`<${Panel} title="Student"><div class="stack">
    <div class="field">
      <label for="student">Architecture</label>
      <input class="input" id="student" list="architectures" autocomplete="off"
        placeholder="resnet8" value=${value.architecture} aria-invalid=${String(Boolean(error))}
        aria-describedby="student-about" onInput=${setArchitecture} />
      <datalist id="architectures">
        ${architectures.map(({ name, family }) => html`<option value=${name}>${family}</option>`)}
      </datalist>
      <span id="student-about">
        <span class="field-error">${error}</span>${" "}<span class="hint">${hint}</span>
      </span>
    </div>
    ${hasOptions && html`<div class="fields">
      <${SchemaFields} id="student" schema=${selected.schema} value=${value.options ?? {}}
        onChange=${(options) => onChange({ ...value, options })}
        errorFor=${errorsUnder(errorFor, "/student/options")} />
    </div>`}
    ${selected?.pretrained && html`<${Checkbox} label="Start from pretrained weights"
      value=${value.pretrained ?? false}
      onChange=${(checked) => onChange({ ...value, pretrained: checked || undefined })} />`}
    ${(hasTeacher || inheritsWeights) && html`<div>
      <${Checkbox} label="Start from the teacher's weights where they fit" value=${inheritsWeights}
        onChange=${(checked) => onChange({ ...value, init: checked ? "teacher" : undefined })} />
      <span class="field-error">${errorFor("/student/init")}</span>
    </div>`}
  </div></${Panel}>`;
}

function describeArchitecture({ family, min_size: minSize, max_size: maxSize }) {
  if (!maxSize) return `${family}, for images of ${minSize} pixels or more`;
  if (maxSize === minSize) return `${family}, for images of ${maxSize} pixels`;
  return `${family}, for images of ${minSize} to ${maxSize} pixels`;
}

export function MethodFields({ value, onChange, errorFor, catalog, hasTeacher }) {
  const applicable = catalog.methods.filter((method) => method.needs_teacher === hasTeacher);
  const selected = catalog.methods.find(({ name }) => name === value.name);
  const hasParameters = selected && Object.keys(selected.schema.properties).length > 1;
  return html`<${Panel} title="Method"><div class="stack">
    <div class="field">
      <label for="method">Distillation method</label>
      <select class="input" id="method" value=${value.name}
        onChange=${(event) => onChange({ name: event.target.value })}>
        ${applicable.map(({ name }) => html`<option value=${name}>${name}</option>`)}
      </select>
      <span class="hint">${selected?.summary} ${selected?.source && html`
        <a href=${selected.source} rel="noreferrer" target="_blank">
          Source<span class="visually-hidden"> (opens another site)</span>
        </a>`}</span>
    </div>
    ${hasParameters && html`<${MoreFields} summary=${`Parameters of ${selected.name}`}>
      <${SchemaFields} id="method" schema=${selected.schema} skip=${["name"]} value=${value}
        onChange=${onChange} errorFor=${errorsUnder(errorFor, "/method")} />
    </${MoreFields}>`}
  </div></${Panel}>`;
}

/** Whether to train the student on labels alone too. Only for jobs with a teacher. */
export const BaselineField = ({ value, onChange, errorFor }) => html`<${Panel} title="Baseline">
  <${Checkbox} value=${value} onChange=${onChange}
    label=${html`Show the gain over labels alone<span class="cell-sub">
      Also trains the student without the teacher, which adds about the time of such a training.
    </span>`} />
  <p class="field-error" role="status">${errorFor("/baseline")}</p>
</${Panel}>`;

export function TrainingFields({ value, onChange, errorFor, schemas }) {
  const props = {
    id: "training",
    schema: schemas.training,
    value,
    onChange,
    errorFor: errorsUnder(errorFor, "/training"),
  };
  const setSchedule = (schedule) =>
    onChange({ ...value, schedule: Object.keys(schedule).length ? schedule : undefined });
  return html`<${Panel} title="Training"><div class="stack">
    <div class="fields"><${SchemaFields} ...${props} only=${BASIC_FIELDS} /></div>
    <${MoreFields} summary="Learning rate schedule">
      <${SchemaFields} id="schedule" schema=${schemas.schedule} value=${value.schedule ?? {}}
        onChange=${setSchedule} errorFor=${errorsUnder(errorFor, "/training/schedule")} />
    </${MoreFields}>
    <${MoreFields} summary="Advanced training options">
      <${SchemaFields} ...${props} skip=${[...BASIC_FIELDS, "schedule"]} />
    </${MoreFields}>
  </div></${Panel}>`;
}

export function ExportFields({ value, onChange, errorFor, catalog }) {
  const setExported = (name) => (checked) =>
    onChange(checked ? [...value, name] : value.filter((other) => other !== name));
  const boxes = catalog.exporters.map(({ name, summary }) => html`<${Checkbox}
    value=${value.includes(name)} onChange=${setExported(name)}
    label=${html`${name}<span class="cell-sub">${summary}</span>`} />`);
  return html`<${Panel} title="Export">
    <fieldset class="checks plain" aria-label="Formats">${boxes}</fieldset>
    <p class="field-error">${errorFor("/export")}</p>
  </${Panel}>`;
}

/** Settings of the job itself: name, labels, priority, limits and resources. */
export function JobFields({ value, onChange, errorFor, schemas }) {
  const labels = Object.entries(value.labels ?? {}).map(([key, label]) => `${key}: ${label}`);
  const setLabels = (event) => onChange({ ...value, labels: parseLabels(event.target.value) });
  const props = {
    id: "job", schema: schemas.job, value, onChange, errorFor: errorsUnder(errorFor, ""),
  };
  return html`<${Panel} title="Job"><div class="stack">
    <div class="fields">
      <${SchemaFields} ...${props} only=${["name"]} />
      <div class="field">
        <label for="labels">Labels</label>
        <input class="input" id="labels" placeholder="team: vision, goal: phone"
          value=${labels.join(", ")} onChange=${setLabels} aria-describedby="labels-about" />
        <span id="labels-about">
          <span class="field-error">${errorFor("/labels")}</span>${" "}
          <span class="hint">Enter labels as key: value, separated by commas. You can filter the
            job list by label.</span>
        </span>
      </div>
    </div>
    <${MoreFields} summary="Priority, limits and resources">
      <${SchemaFields} ...${props} only=${ADVANCED_JOB_FIELDS} />
      <${SchemaFields} id="resources" schema=${schemas.resources} value=${value.resources ?? {}}
        onChange=${(resources) => onChange({ ...value, resources })}
        errorFor=${errorsUnder(errorFor, "/resources")} />
    </${MoreFields}>
  </div></${Panel}>`;
}

/** Parse "team: vision, goal: phone". Parts without a colon are ignored. */
function parseLabels(text) {
  const pairs = text.split(",").map((pair) => pair.split(":").map((part) => part.trim()));
  return Object.fromEntries(pairs.filter(([key, label]) => key && label !== undefined));
}
