/** A data set: samples of its classes, how many images each has, what a check noticed, and what was made of it. */
import { Counts } from "../dataset_counts.js";
import { Samples } from "../dataset_samples.js";
import { Delete } from "../deletion.js";
import { useGet } from "../fetched.js";
import { bytes, whole } from "../format.js";
import { shownAccuracy, titleOf } from "../model_facts.js";
import { Copy, Facts, Head, Loaded, Panel, Rows, Status, Tiles, When } from "../parts.js";
import { session } from "../session.js";
import { html, useEffect, useState } from "../vendor/preact.js";

export function Page({ id }) {
  const [checking, check] = useState(true);
  const dataset = useGet(`/v1/datasets/${id}`, { every: checking ? 2000 : 0 });
  useEffect(() => {
    if (dataset.data) check(dataset.data.status === "validating");
  }, [dataset.data?.status]);
  return html`<${Loaded} from=${dataset}>${(found) => html`
    <${Head} title=${found.name || found.id} crumbs=${[["Data sets", "#/datasets"]]} about=${html`<${Status} of=${found.status} /> <${Copy} text=${found.id} />`}>
      ${session.reaches("submitter") && found.status === "ready" && html`<a class="button primary" href=${`#/new?dataset=${found.id}`}>New job on it</a>`}
      ${found.status === "ready" && html`<a class="button" href=${`#/compare?dataset=${found.id}`}>Compare its models</a>`}
      ${session.reaches("submitter") && html`<${Delete} noun="data set" place="/datasets" of=${found} text="Its images go with it; models that learnt on it stay. Jobs that failed on it cannot be tried again. This cannot be undone." />`}
    </${Head}>
    <div class="stack">
      <${State} dataset=${found} />
      ${found.status === "ready" && html`<${Sizes} dataset=${found} /><${Samples} dataset=${found} /><${Counts} dataset=${found} />`}
      <${Used} id=${id} />
      <${About} dataset=${found} />
    </div>`}</${Loaded}>`;
}

function State({ dataset }) {
  if (dataset.status === "validating") return html`<div class="notice" role="status"><div><strong>A worker looks into it</strong><p>It is unpacked, read and counted; this page shows it when that is done. Jobs on it may be submitted already.</p></div></div>`;
  if (dataset.error) return html`<section class="notice bad" aria-label="Why it cannot be used"><div><strong>${dataset.error.message}</strong>${dataset.error.hint && html`<p>${dataset.error.hint}</p>`}<p class="small quiet">${dataset.error.code}</p></div></section>`;
  if (!dataset.notices?.length) return null;
  return html`<section class="notice warn" aria-label="What the check noticed"><div><strong>What the check noticed</strong>${dataset.notices.map((notice) => html`<p>${notice}</p>`)}</div></section>`;
}

const Sizes = ({ dataset: { classes, splits, image } }) => html`<${Tiles} of=${[
  ["Classes", classes.length ? whole(classes.length) : "no labels"],
  ["Training images", whole(splits.train), "to learn on"],
  ["Val images", whole(splits.val), "to measure on"],
  ["Image", `${image.width} × ${image.height}`, image.channels === 1 ? "grey" : `${image.channels} channels`],
]} />`;

/** The last jobs on it and the last models of it. */
function Used({ id }) {
  const jobs = useGet(`/v1/jobs?dataset=${id}&limit=10`, { every: 10000 });
  const models = useGet(`/v1/models?dataset=${id}&limit=10`);
  return html`<div class="grid-2 from-top">
    <${Panel} title="Jobs on it" label=${null} flush><${Loaded} from=${jobs}>${({ items }) => (items.length ? html`<${Rows} label="Jobs on it" rows=${items} columns=${[
      ["Name", (job) => html`<a class="cell-main" href=${`#/jobs/${job.id}`}>${job.name || job.id}</a>`], ["Status", (job) => html`<${Status} of=${job.status} />`], ["Submitted", (job) => html`<${When} at=${job.created_at} />`, "number"],
    ]} />` : html`<p class="panel-note">No job has used it yet.</p>`)}</${Loaded}></${Panel}>
    <${Panel} title="Models of it" label=${null} flush aside=${html`<a class="small" href=${`#/models?dataset=${id}`}>All</a>`}><${Loaded} from=${models}>${({ items }) => (items.length ? html`<${Rows} label="Models of it" rows=${items} columns=${[
      ["Name", (model) => html`<a class="cell-main" href=${`#/models/${model.id}`}>${titleOf(model)}</a>`], ["Architecture", (model) => model.architecture], ["Accuracy", (model) => shownAccuracy(model.metrics.student), "number"],
    ]} />` : html`<p class="panel-note">No model was made of it yet.</p>`)}</${Loaded}></${Panel}>
  </div>`;
}

const About = ({ dataset }) => html`<${Panel} title="About"><${Facts} of=${[
  ["Archive", bytes(dataset.size)],
  ["SHA-256", html`<${Copy} text=${dataset.sha256} />`],
  ["Uploaded", html`<${When} at=${dataset.created_at} />`],
]} /></${Panel}>`;
