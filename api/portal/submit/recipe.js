/** What is to be made, and how: student, method, training, files, and what concerns the job itself. */
import { Panel } from "../parts.js";
import { Fields } from "../schema.js";
import { html } from "../vendor/preact.js";

const FIRST = ["epochs", "batch_size", "learning_rate", "seed"];
const under = (wrong, pointer) => (name) => wrong(`${pointer}/${name}`);

export function Student({ value, change, wrong, catalog }) {
  const known = catalog.names.find((one) => one.name === value.architecture);
  const named = (event) => change({ ...value, architecture: event.target.value.trim(), options: {} });
  return html`<${Panel} title="Student"><div class="stack">
    <div class="field"><label for="student">Architecture</label>
      <input class="input" id="student" list="architectures" autocomplete="off" placeholder="resnet8" value=${value.architecture} aria-invalid=${String(Boolean(wrong("/student/architecture")))} aria-describedby="student-about" onInput=${named} />
      <datalist id="architectures">${catalog.names.map((one) => html`<option value=${one.name}>${one.family}</option>`)}</datalist>
      <span id="student-about"><span class="wrong">${wrong("/student/architecture")}</span> <span class="hint">${known ? about(known) : `One of ${catalog.names.length} networks: type to search.`}</span></span></div>
    ${known?.schema && Object.keys(known.schema.properties ?? {}).length > 0 && html`<div class="fields"><${Fields} id="student" schema=${known.schema} value=${value.options ?? {}} change=${(options) => change({ ...value, options })} wrong=${under(wrong, "/student/options")} /></div>`}
    ${known?.pretrained && html`<label class="check"><input type="checkbox" checked=${value.pretrained ?? false} onChange=${(event) => change({ ...value, pretrained: event.target.checked || undefined })} /><span>Begin with its published weights</span></label>`}
  </div></${Panel}>`;
}

const about = ({ family, min_size: least, max_size: most }) => `${family}, for images of ${most ? (most === least ? `${most} pixels` : `${least} to ${most} pixels`) : `${least} pixels and more`}`;

export function Method({ value, change, wrong, catalog, taught }) {
  const fitting = catalog.methods.filter((one) => one.needs_teacher === taught);
  const known = catalog.methods.find((one) => one.name === value.name);
  return html`<${Panel} title="Method"><div class="stack">
    <div class="field"><label for="method">How it learns</label>
      <select class="input" id="method" value=${value.name} onChange=${(event) => change({ name: event.target.value })}>${fitting.map((one) => html`<option value=${one.name}>${one.name}</option>`)}</select>
      <span class="hint">${known?.summary} ${known?.source && html`<a href=${known.source} rel="noreferrer" target="_blank">Source<span class="hidden-visually"> (opens another site)</span></a>`}</span></div>
    ${known && Object.keys(known.schema.properties).length > 1 && html`<details class="more"><summary>Parameters of ${known.name}</summary><div class="fields"><${Fields} id="method" schema=${known.schema} skip=${["name"]} value=${value} change=${change} wrong=${under(wrong, "/method")} /></div></details>`}
  </div></${Panel}>`;
}

export function Training({ value, change, wrong, schemas }) {
  const { TrainingSpec: schema, Schedule } = schemas;
  const wrongOf = under(wrong, "/training");
  const schedule = (given) => change({ ...value, schedule: Object.keys(given).length ? given : undefined });
  return html`<${Panel} title="Training"><div class="stack">
    <div class="fields"><${Fields} id="training" schema=${schema} only=${FIRST} value=${value} change=${change} wrong=${wrongOf} /></div>
    <details class="more"><summary>Schedule of the learning rate</summary><div class="fields"><${Fields} id="schedule" schema=${Schedule} value=${value.schedule ?? {}} change=${schedule} wrong=${under(wrong, "/training/schedule")} /></div></details>
    <details class="more"><summary>Everything else about the training</summary><div class="fields"><${Fields} id="training" schema=${schema} skip=${[...FIRST, "schedule"]} value=${value} change=${change} wrong=${wrongOf} /></div></details>
  </div></${Panel}>`;
}

export function Files({ value, change, wrong, catalog }) {
  const turn = (name) => change(value.includes(name) ? value.filter((one) => one !== name) : [...value, name]);
  return html`<${Panel} title="Files"><fieldset class="checks plain" aria-label="Formats">
    ${catalog.exporters.map((one) => html`<label class="check"><input type="checkbox" checked=${value.includes(one.name)} onChange=${() => turn(one.name)} /><span>${one.name}<span class="cell-sub">${one.summary}</span></span></label>`)}
  </fieldset><p class="wrong">${wrong("/export")}</p></${Panel}>`;
}

const ENVELOPE = ["notes", "model_name", "priority", "max_seconds"];

export function Envelope({ value, change, wrong, schemas }) {
  const labels = Object.entries(value.labels ?? {}).map(([key, one]) => `${key}: ${one}`).join(", ");
  const label = (text) => change({ ...value, labels: Object.fromEntries(text.split(",").map((one) => one.split(":").map((part) => part.trim())).filter(([key, one]) => key && one !== undefined)) });
  return html`<${Panel} title="Job"><div class="stack">
    <div class="fields">
      <${Fields} id="job" schema=${schemas.JobRequest} only=${["name"]} value=${value} change=${change} wrong=${under(wrong, "")} />
      <div class="field"><label for="labels">Labels</label><input class="input" id="labels" placeholder="team: vision, goal: phone" value=${labels} onChange=${(event) => label(event.target.value)} aria-describedby="labels-about" /><span id="labels-about"><span class="wrong">${wrong("/labels")}</span> <span class="hint">key: value, by commas; for finding it again</span></span></div>
    </div>
    <details class="more"><summary>Priority, limits and device</summary><div class="fields">
      <${Fields} id="job" schema=${schemas.JobRequest} only=${ENVELOPE} value=${value} change=${change} wrong=${under(wrong, "")} />
      <${Fields} id="resources" schema=${schemas.Resources} value=${value.resources ?? {}} change=${(resources) => change({ ...value, resources })} wrong=${under(wrong, "/resources")} />
    </div></details>
  </div></${Panel}>`;
}
