/** Teachers: checkpoints that people brought, and what was recognised in them. */
import { Drop } from "../drop.js";
import { useList } from "../fetched.js";
import { bytes, count, whole } from "../format.js";
import { Empty, Head, Loaded, Panel, Rows, Status, toast, When } from "../parts.js";
import { go } from "../router.js";
import { session } from "../session.js";
import { html } from "../vendor/preact.js";

const CHECKPOINTS = ".pth,.pt,.th,.safetensors,.onnx,.bin,.ckpt";

export function Page() {
  const teachers = useList("/v1/teachers?limit=50", { every: 5000 });
  const done = (row) => {
    teachers.reload();
    if (row.status === "invalid") go(`/teachers/${row.id}`);
    else toast(`${row.name} is ready`, row.architecture ? `Recognised: ${row.architecture}` : "");
  };
  return html`
    <${Head} title="Teachers" about="Checkpoints of large models. The service recognises the architecture, and a teacher proves itself on the data before each job." />
    <div class="stack">
      ${session.reaches("submitter") && html`<${Drop} kind="teachers" accept=${CHECKPOINTS} words="Bring a checkpoint: a state dict (.pt, .pth), safetensors or ONNX" done=${done} />`}
      <${Loaded} from=${teachers}>${(rows) => html`<${Panel} flush label=${null}>${rows.length ? html`<${Table} rows=${rows} />` : html`<${Nothing} />`}</${Panel}>`}</${Loaded}>
      ${teachers.more && html`<p class="row"><button class="button" onClick=${teachers.more}>Show older teachers</button></p>`}
    </div>`;
}

const Nothing = () => html`<${Empty} title="No teachers yet">${session.reaches("submitter") ? "Drop a checkpoint above. A model made here, or published weights, can teach without being uploaded: pick it when you submit a job." : "Somebody with the role submitter can bring one."}</${Empty}>`;

const Table = ({ rows }) => html`<${Rows} cards label="Teachers" rows=${rows} columns=${[
  ["Name", (one) => html`<a class="cell-main" href=${`#/teachers/${one.id}`}>${one.name}</a>`, "main"],
  ["Status", (one) => html`<${Status} of=${one.status} />`],
  ["Architecture", (one) => one.architecture ?? (one.format === "onnx" ? "ONNX graph" : "–")],
  ["Parameters", (one) => count(one.parameters), "number"],
  ["Classes", (one) => (one.num_classes === 0 ? "features" : whole(one.num_classes)), "number"],
  ["Size", (one) => bytes(one.size), "number"],
  ["Brought", (one) => html`<${When} at=${one.created_at} />`, "number"],
]} />`;
