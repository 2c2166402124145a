/** Data sets: what there is to learn on. */
import { Drop } from "../drop.js";
import { useList } from "../fetched.js";
import { bytes, whole } from "../format.js";
import { Empty, Head, Loaded, More, Panel, Rows, Status, toast, When } from "../parts.js";
import { go } from "../router.js";
import { session } from "../session.js";
import { html } from "../vendor/preact.js";

const ARCHIVES = ".zip,.tar,.tgz,.tar.gz";

export function Page() {
  const datasets = useList("/v1/datasets?limit=50", { every: 5000 });
  const done = (row) => {
    datasets.reload();
    if (row.status === "invalid") go(`/datasets/${row.id}`);
    else toast(`${row.name} is ready`, `${whole(row.splits.train)} training and ${whole(row.splits.val)} val images`);
  };
  return html`
    <${Head} title="Data sets" about="Images to learn on, and to measure on. A worker looks into each before it can be used." />
    <div class="stack">
      ${session.reaches("submitter") && html`<${Drop} kind="datasets" accept=${ARCHIVES} words="Bring images: an archive with train/<class>/… and val/<class>/…" done=${done} />`}
      <${Loaded} from=${datasets}>${(items) => html`<${Panel} flush label=${null}>${items.length ? html`<${Table} datasets=${items} />` : html`<${Nothing} />`}</${Panel}>`}</${Loaded}>
      <${More} of=${datasets}>Show older data sets</${More}>
    </div>`;
}

const Nothing = () => html`<${Empty} title="No data sets yet">${session.reaches("submitter") ? "Drop an archive above: a folder for each class, or one of the forms that the service knows." : "Somebody with the role submitter can bring one."}</${Empty}>`;

const Table = ({ datasets }) => html`<${Rows} cards label="Data sets" rows=${datasets} columns=${[
  ["Name", (one) => html`<a class="cell-main" href=${`#/datasets/${one.id}`}>${one.name || one.id}</a><span class="cell-sub">${one.error?.message}</span>`, "main"],
  ["Status", (one) => html`<${Status} of=${one.status} />`],
  ["Classes", (one) => classesOf(one), "number"],
  ["Train", (one) => whole(one.splits?.train), "number"],
  ["Val", (one) => whole(one.splits?.val), "number"],
  ["Image", (one) => (one.image ? `${one.image.width} × ${one.image.height}` : "–"), "number"],
  ["Archive", (one) => bytes(one.size), "number"],
  ["Uploaded", (one) => html`<${When} at=${one.created_at} />`, "number"],
]} />`;

const classesOf = (one) => (one.classes === null ? "–" : one.classes.length ? whole(one.classes.length) : "no labels");
