/** The list of datasets, and the upload of a new one. */
import { formatBytes, formatInteger, MISSING_TEXT } from "../lib/format.js";
import { usePaginatedList } from "../lib/hooks.js";
import { navigate, resourceUrl } from "../lib/router.js";
import { Role, session } from "../lib/session.js";
import {
  AsyncContent, DataTable, EmptyState, LoadMoreButton, PageHeader, Panel, RelativeTime,
  StatusBadge,
} from "../ui/components.js";
import { FileUpload, UploadStatus } from "../ui/file_upload.js";
import { toast } from "../ui/toast.js";
import { html } from "../vendor/preact.js";

export function Page() {
  const datasets = usePaginatedList("/v1/datasets?limit=50", { intervalMs: 5000 });
  const onUploaded = ({ id, name, status, splits }) => {
    datasets.reload();
    if (status === UploadStatus.INVALID) return navigate(`/datasets/${id}`);
    const [training, evaluation] = [splits.train, splits.val].map((count) => formatInteger(count));
    return toast(`${name} is ready`, `${training} training and ${evaluation} evaluation images`);
  };
  return html`
    <${PageHeader} title="Datasets"
      about="Images for training and evaluation. A worker checks each upload before it is used." />
    <div class="stack">
      ${session.hasRole(Role.SUBMITTER) && html`<${FileUpload} collection="datasets"
        onUploaded=${onUploaded} />`}
      <${AsyncContent} query=${datasets}>${(items) => html`<${Panel} flush label=${null}>
        ${items.length ? html`<${DatasetTable} datasets=${items} />` : html`<${NoDatasets} />`}
      </${Panel}>`}</${AsyncContent}>
      <${LoadMoreButton} query=${datasets}>Show older datasets</${LoadMoreButton}>
    </div>`;
}

const NoDatasets = () => html`<${EmptyState} title="No datasets yet">
  ${session.hasRole(Role.SUBMITTER)
    ? "Upload an archive above, with one folder per class or in another supported format."
    : "Ask someone with the submitter role to upload one."}
</${EmptyState}>`;

const DatasetTable = ({ datasets }) => html`<${DataTable} cards label="Datasets" rows=${datasets}
  columns=${[
    ["Name", renderName, "main"],
    ["Status", (dataset) => html`<${StatusBadge} status=${dataset.status} />`],
    ["Classes", (dataset) => formatClasses(dataset), "number"],
    ["Train", (dataset) => formatInteger(dataset.splits?.train), "number"],
    ["Val", (dataset) => formatInteger(dataset.splits?.val), "number"],
    ["Image", ({ image }) => (image ? `${image.width} × ${image.height}` : MISSING_TEXT), "number"],
    ["Archive", (dataset) => formatBytes(dataset.size), "number"],
    ["Uploaded", (dataset) => html`<${RelativeTime} time=${dataset.created_at} />`, "number"],
  ]} />`;

const renderName = (dataset) => html`
  <a class="cell-main" href=${resourceUrl("dataset", dataset.id)}>${dataset.name || dataset.id}</a>
  <span class="cell-sub">${dataset.error?.message}</span>`;

function formatClasses({ classes }) {
  if (classes === null) return MISSING_TEXT;
  return classes.length ? formatInteger(classes.length) : "unlabeled";
}
