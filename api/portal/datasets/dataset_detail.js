/** A dataset: sample images, class counts, the result of its check, and its jobs and models. */
import { formatBytes, formatInteger } from "../lib/format.js";
import { useFetch } from "../lib/hooks.js";
import { resourceUrl } from "../lib/router.js";
import { Role, session } from "../lib/session.js";
import { formatAccuracy, modelTitle } from "../models/model_metrics.js";
import { ChartPanel, seriesColor } from "../ui/charts.js";
import {
  AsyncContent, CopyButton, DataTable, DescriptionList, PageHeader, Panel, RelativeTime, StatTiles,
  StatusBadge,
} from "../ui/components.js";
import { DeleteButton } from "../ui/delete_button.js";
import { UploadStatus } from "../ui/file_upload.js";
import { html, useEffect, useState } from "../vendor/preact.js";
import { DatasetHealth } from "./dataset_report.js";
import { SampleImages } from "./dataset_samples.js";

const FORCE_OPTIONS = [{
  parameter: "force", errorCode: "dataset_in_lineage",
  label: "Delete anyway. These models can then no longer be reproduced.",
}];
const DELETE_TEXT =
  "Its images are deleted. Models trained on it are kept, but failed jobs that used it cannot be "
  + "retried. This cannot be undone.";

export function Page({ id }) {
  const [isChecking, setIsChecking] = useState(true);
  const datasetQuery = useFetch(`/v1/datasets/${id}`, { intervalMs: isChecking ? 2000 : 0 });
  const status = datasetQuery.data?.status;
  useEffect(() => {
    if (status) setIsChecking(status === UploadStatus.VALIDATING);
  }, [status]);
  return html`<${AsyncContent} query=${datasetQuery}>${(dataset) => html`
    <${DatasetHeader} dataset=${dataset} />
    <div class="stack">
      <${CheckResult} dataset=${dataset} />
      ${dataset.status === UploadStatus.READY && html`
        <${DatasetTiles} dataset=${dataset} />
        <${SampleImages} dataset=${dataset} />
        <${ClassCounts} dataset=${dataset} />
        <${DatasetHealth} dataset=${dataset} />`}
      <${RelatedJobsAndModels} id=${id} />
      <${DatasetFacts} dataset=${dataset} />
    </div>`}</${AsyncContent}>`;
}

function DatasetHeader({ dataset: { id, name, status } }) {
  const isReady = status === UploadStatus.READY;
  const canSubmit = session.hasRole(Role.SUBMITTER);
  return html`<${PageHeader} title=${name || id} breadcrumbs=${[["Datasets", "#/datasets"]]}
    about=${html`<${StatusBadge} status=${status} /> <${CopyButton} text=${id} />`}>
    ${canSubmit && isReady && html`<a class="button primary" href=${`#/new?dataset=${id}`}>
      New job
    </a>`}
    ${isReady && html`<a class="button" href=${`#/compare?dataset=${id}`}>Compare models</a>`}
    ${canSubmit && html`<${DeleteButton} noun="dataset" collection="/datasets" id=${id}
      name=${name || id} text=${DELETE_TEXT} options=${FORCE_OPTIONS} />`}
  </${PageHeader}>`;
}

function CheckResult({ dataset: { status, error, notices } }) {
  if (status === UploadStatus.VALIDATING) {
    return html`<div class="notice" role="status"><div>
      <strong>A worker is checking this dataset</strong>
      <p>
        The page updates once the images are read and counted. You can already submit jobs with this
        dataset.
      </p>
    </div></div>`;
  }
  if (error) {
    return html`<section class="notice bad" aria-label="Check failed"><div>
      <strong>${error.message}</strong>
      ${error.hint && html`<p>${error.hint}</p>`}
      <p class="small muted">${error.code}</p>
    </div></section>`;
  }
  if (!notices?.length) return null;
  return html`<section class="notice warn" aria-label="Notices from the check"><div>
    <strong>Notices from the check</strong>${notices.map((notice) => html`<p>${notice}</p>`)}
  </div></section>`;
}

const DatasetTiles = ({ dataset: { classes, splits, image } }) => html`<${StatTiles} items=${[
  ["Classes", classes.length ? formatInteger(classes.length) : "unlabeled"],
  ["Training images", formatInteger(splits.train), "train split"],
  ["Evaluation images", formatInteger(splits.val), "val split"],
  ...(splits.test ? [["Test images", formatInteger(splits.test), "test split"]] : []),
  [
    "Image size",
    `${image.width} × ${image.height}`,
    image.channels === 1 ? "grayscale" : `${image.channels} channels`,
  ],
]} />`;

/** The number of images per class and split. */
function ClassCounts({ dataset: { classes, class_counts: classCounts } }) {
  const splits = Object.entries(classCounts ?? {}).filter(([, counts]) => counts.some(Boolean));
  if (!splits.length || !classes.length) return null;
  const traces = () => splits.map(([name, counts], index) => ({
    type: "bar", name, x: classes, y: counts, marker: { color: seriesColor(index) },
  }));
  const layout = {
    barmode: "group",
    bargap: 0.2,
    xaxis: { type: "category", showgrid: false },
    yaxis: { title: { text: "images", standoff: 8 } },
  };
  const table = {
    columns: ["Class", ...splits.map(([name]) => name)],
    rows: classes.map(
      (name, index) => [name, ...splits.map(([, counts]) => formatInteger(counts[index]))],
    ),
  };
  const note = describeBalance(classes, splits[0][1]);
  return html`<${ChartPanel} title="Images per class" note=${note} traces=${traces}
    layout=${layout} table=${table}
    summary=${`Images in each of the ${classes.length} classes; ${note}`} />`;
}

function describeBalance(classes, counts) {
  const [min, max] = [Math.min(...counts), Math.max(...counts)];
  if (min === max) return `${formatInteger(max)} training images per class`;
  const describe = (count) => `${formatInteger(count)} (${classes[counts.indexOf(count)]})`;
  return `${describe(min)} to ${describe(max)} training images per class`;
}

/** The latest jobs and models that used the dataset. */
function RelatedJobsAndModels({ id }) {
  const jobs = useFetch(`/v1/jobs?dataset=${id}&limit=10`, { intervalMs: 10000 });
  const models = useFetch(`/v1/models?dataset=${id}&limit=10`);
  const allModels = html`<a class="small" href=${`#/models?dataset=${id}`}>All models</a>`;
  return html`<div class="grid-2 align-start">
    <${RelatedPanel} title="Jobs on this dataset" query=${jobs}
      emptyText="No jobs use this dataset yet." columns=${[
        ["Name", (job) => html`<a class="cell-main" href=${resourceUrl("job", job.id)}>
          ${job.name || job.id}
        </a>`],
        ["Status", (job) => html`<${StatusBadge} status=${job.status} />`],
        ["Submitted", (job) => html`<${RelativeTime} time=${job.created_at} />`, "number"],
      ]} />
    <${RelatedPanel} title="Models trained on this dataset" query=${models}
      headerActions=${allModels} emptyText="No models yet." columns=${[
        ["Name", (model) => html`<a class="cell-main" href=${resourceUrl("model", model.id)}>
          ${modelTitle(model)}
        </a>`],
        ["Architecture", (model) => model.architecture],
        ["Accuracy", (model) => formatAccuracy(model.metrics.student), "number"],
      ]} />
  </div>`;
}

const RelatedPanel = ({ title, query, headerActions, columns, emptyText }) => html`
  <${Panel} title=${title} label=${null} flush headerActions=${headerActions}>
    <${AsyncContent} query=${query}>${({ items }) =>
      items.length
        ? html`<${DataTable} label=${title} rows=${items} columns=${columns} />`
        : html`<p class="panel-note">${emptyText}</p>`
    }</${AsyncContent}>
  </${Panel}>`;

const DatasetFacts = ({ dataset }) => html`<${Panel} title="Details">
  <${DescriptionList} items=${[
    ["Archive", formatBytes(dataset.size)],
    ["SHA-256", html`<${CopyButton} text=${dataset.sha256} />`],
    ["Uploaded", html`<${RelativeTime} time=${dataset.created_at} />`],
  ]} />
</${Panel}>`;
