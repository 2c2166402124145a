/** Protocols that look at the finished student beside its accuracy; those on another data set pick it from what is ready. */
import { useGet } from "../fetched.js";
import { Panel } from "../parts.js";
import { Fields } from "../schema.js";
import { html, useRef } from "../vendor/preact.js";
import { Pick } from "./inputs.js";

/** `kinds` are the schemas of the protocols as a job holds them, by name: where there is a `dataset`, it takes one of its own. */
export function Evaluations({ value, change, wrong, catalog, kinds, most }) {
  const takesData = (name) => "dataset" in kinds[name].properties;
  const add = (name) => change([...value, takesData(name) ? { name, dataset: {} } : { name }]);
  const list = useGet(value.some((one) => takesData(one.name)) ? "/v1/datasets?limit=200" : null);
  const offers = useRef();
  const remove = (place) => {
    change(value.filter((_, at) => at !== place));
    offers.current.querySelector("button").focus(); // what had it is gone
  };
  const ready = (list.data?.items ?? []).filter((row) => row.status === "ready");
  return html`<${Panel} title="Measured beside the accuracy"><div class="stack">
    ${value.map((one, place) => html`<${Protocol} key=${place} place=${place} value=${one} entry=${catalog.evaluations.find((known) => known.name === one.name)} datasets=${takesData(one.name) ? ready : null}
      change=${(next) => change(value.map((old, at) => (at === place ? next : old)))} remove=${() => remove(place)} wrong=${(pointer) => wrong(`/evaluation/${place}${pointer}`)} />`)}
    <p class="wrong">${wrong("/evaluation")}</p>
    <ul class="offers" aria-label="Protocols" ref=${offers}>${catalog.evaluations.map((one) => html`<li key=${one.name}>
      <button type="button" class="button tiny" disabled=${value.length >= most} onClick=${() => add(one.name)}>Add ${one.name}</button>
      <span class="hint">${one.summary}</span></li>`)}</ul>
  </div></${Panel}>`;
}

function Protocol({ place, value, entry, datasets, change, remove, wrong }) {
  const id = `evaluation-${place}`;
  const picked = (dataset) => change({ ...value, dataset: dataset ? { ...value.dataset, id: dataset } : {} });
  return html`<div class="protocol" role="group" aria-labelledby=${`${id}-name`}>
    <div class="head"><h3 id=${`${id}-name`}>${value.name}</h3><button type="button" class="button plain tiny" aria-label=${`Remove ${value.name}, protocol ${place + 1}`} onClick=${remove}>Remove</button></div>
    ${datasets && html`<${Pick} id=${`${id}-dataset`} label="Images to transfer to" rows=${datasets} value=${value.dataset.id} pick=${picked} wrong=${wrong("/dataset/id") || wrong("/dataset")} empty="No data set is ready yet" words=${(row) => `${row.name} · ${row.classes.length} classes`} />`}
    <div class="fields"><${Fields} id=${id} schema=${entry.schema} value=${value} change=${change} wrong=${(name) => wrong(`/${name}`)} /></div>
  </div>`;
}
