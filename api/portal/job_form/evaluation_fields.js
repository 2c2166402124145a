/** Additional evaluations of the student, each with parameters and possibly its own dataset. */
import { useFetch } from "../lib/hooks.js";
import { Panel } from "../ui/components.js";
import { UploadStatus } from "../ui/file_upload.js";
import { SchemaFields } from "../ui/schema_form.js";
import { html, useRef } from "../vendor/preact.js";
import { ResourceSelect } from "./input_fields.js";

/** `value` is the list of protocols of the request, as {name, dataset?, …parameters}. */
export function EvaluationFields({ value, onChange, errorFor, catalog, schemas }) {
  const needsDataset = ({ name }) => "dataset" in schemas.protocols[name].properties;
  const list = useFetch(value.some(needsDataset) ? "/v1/datasets?limit=200" : null);
  const readyDatasets = (list.data?.items ?? []).filter(
    (dataset) => dataset.status === UploadStatus.READY,
  );
  const protocolList = useRef();
  const add = ({ name }) =>
    onChange([...value, needsDataset({ name }) ? { name, dataset: {} } : { name }]);
  const remove = (index) => {
    onChange(value.filter((_, other) => other !== index));
    protocolList.current.querySelector("button").focus(); // the focused button is gone
  };
  const replace = (index) => (protocol) =>
    onChange(value.map((old, other) => (other === index ? protocol : old)));
  const protocols = value.map((protocol, index) => html`<${ProtocolFields} key=${index}
    index=${index} value=${protocol} onChange=${replace(index)} onRemove=${() => remove(index)}
    schema=${catalog.evaluations.find(({ name }) => name === protocol.name).schema}
    datasets=${needsDataset(protocol) ? readyDatasets : null}
    errorFor=${(pointer) => errorFor(`/evaluation/${index}${pointer}`)} />`);
  const addButtons = catalog.evaluations.map((entry) => html`<li key=${entry.name}>
    <button type="button" class="button tiny" disabled=${value.length >= schemas.maxProtocols}
      onClick=${() => add(entry)}>Add ${entry.name}</button>
    <span class="hint">${entry.summary}</span>
  </li>`);
  return html`<${Panel} title="Additional evaluations"><div class="stack">
    ${protocols}
    <p class="field-error">${errorFor("/evaluation")}</p>
    <ul class="protocol-list" aria-label="Protocols" ref=${protocolList}>${addButtons}</ul>
  </div></${Panel}>`;
}

function ProtocolFields({ index, value, schema, datasets, onChange, onRemove, errorFor }) {
  const id = `evaluation-${index}`;
  const selectDataset = (datasetId) =>
    onChange({ ...value, dataset: datasetId ? { ...value.dataset, id: datasetId } : {} });
  return html`<div class="protocol" role="group" aria-labelledby=${`${id}-name`}>
    <div class="head">
      <h3 id=${`${id}-name`}>${value.name}</h3>
      <button type="button" class="button plain tiny" onClick=${onRemove}
        aria-label=${`Remove ${value.name}, protocol ${index + 1}`}>Remove</button>
    </div>
    ${datasets && html`<${ResourceSelect} id=${`${id}-dataset`} label="Target dataset"
      resources=${datasets} value=${value.dataset.id} onSelect=${selectDataset}
      error=${errorFor("/dataset/id") || errorFor("/dataset")}
      emptyText="No dataset is ready yet"
      format=${({ name, classes }) => `${name} · ${classes.length} classes`} />`}
    <div class="fields">
      <${SchemaFields} id=${id} schema=${schema} value=${value} onChange=${onChange}
        errorFor=${(name) => errorFor(`/${name}`)} />
    </div>
  </div>`;
}
