/** The two inputs of a job: images, and a teacher. Picked from what there is, or brought along. */
import { Drop } from "../drop.js";
import { useGet } from "../fetched.js";
import { count, whole } from "../format.js";
import { Panel, Refusal, Segments, Status, Tag } from "../parts.js";
import { html, useEffect, useState } from "../vendor/preact.js";

const ARCHIVES = ".zip,.tar,.tgz,.gz";
const CHECKPOINTS = ".pth,.pt,.th,.safetensors,.onnx,.bin,.ckpt";
const usable = (rows) => rows.filter((row) => row.status !== "invalid");

/** One of the rows, by its id; `words(row)` is what stands in the list. */
export function Pick({ id, label, rows, value, pick, words, wrong, empty }) {
  return html`<div class="field"><label for=${id}>${label}</label>
    <select class="input" id=${id} value=${value ?? ""} aria-invalid=${String(Boolean(wrong))} aria-describedby=${`${id}-wrong`} onChange=${(event) => pick(event.target.value)}>
      <option value="">${rows.length ? "Choose one" : empty}</option>${rows.map((row) => html`<option value=${row.id}>${words(row)}</option>`)}
    </select><span class="wrong" id=${`${id}-wrong`}>${wrong}</span></div>`;
}

const Unfit = ({ row }) => row?.status === "invalid" && html`<${Refusal} problem=${{ ...row.error, message: `${row.name}: ${row.error.message}` }} />`;

export function Data({ value, change, wrong }) {
  const list = useGet("/v1/datasets?limit=200");
  const [unfit, setUnfit] = useState(null);
  const rows = usable(list.data?.items ?? []);
  const picked = rows.find((row) => row.id === value.id);
  const done = async (row) => {
    await list.reload();
    setUnfit(row.status === "invalid" ? row : null);
    if (row.status !== "invalid") change({ ...value, id: row.id });
  };
  return html`<${Panel} title="Data set"><div class="stack">
    <${Pick} id="dataset" label="Images to learn on" rows=${rows} value=${value.id} pick=${(id) => change({ ...value, id: id || undefined })} wrong=${wrong("/dataset/id")}
      empty="None yet: drop one below" words=${(row) => `${row.name} · ${row.classes ? `${row.classes.length} classes` : row.status}`} />
    ${picked && html`<p class="picked"><${Status} of=${picked.status} />${picked.splits && html`<span>${whole(picked.splits.train)} training and ${whole(picked.splits.val)} evaluation images</span>`}${picked.image && html`<${Tag}>${picked.image.width} × ${picked.image.height}</${Tag}>`}</p>`}
    <${Unfit} row=${unfit} />
    <${Drop} kind="datasets" accept=${ARCHIVES} words="Bring images: a zip or tar of train/<class>/… and val/<class>/…" done=${done} />
  </div></${Panel}>`;
}

const KINDS = [["upload", "A checkpoint"], ["model", "A model made here"], ["pretrained", "Published weights"], ["none", "None: labels alone"]];
const kindOf = (teacher) => (!teacher ? "none" : teacher.model_id !== undefined ? "model" : teacher.pretrained !== undefined ? "pretrained" : "upload");

export function Teacher({ value, change, wrong, catalog }) {
  const [kind, setKind] = useState(kindOf(value));
  useEffect(() => setKind(kindOf(value)), [value === null]);
  const turn = (name) => {
    setKind(name);
    change({ upload: {}, model: { model_id: "" }, pretrained: { pretrained: "" }, none: null }[name]);
  };
  return html`<${Panel} title="Teacher"><div class="stack">
    <${Segments} label="Kind of teacher" options=${KINDS} value=${kind} pick=${turn} />
    ${kind === "upload" && html`<${Uploaded} value=${value ?? {}} change=${change} wrong=${wrong} />`}
    ${kind === "model" && html`<${Made} value=${value ?? {}} change=${change} wrong=${wrong} />`}
    ${kind === "pretrained" && html`<${Published} value=${value ?? {}} change=${change} wrong=${wrong} catalog=${catalog} />`}
    ${kind === "none" && html`<p class="quiet">The student learns from the labels alone, as a comparison or as a teacher for later jobs.</p>`}
    ${wrong("/teacher") && html`<p class="wrong" role="alert">${wrong("/teacher")}</p>`}
  </div></${Panel}>`;
}

function Uploaded({ value, change, wrong }) {
  const list = useGet("/v1/teachers?limit=200");
  const [unfit, setUnfit] = useState(null);
  const rows = usable(list.data?.items ?? []);
  const picked = rows.find((row) => row.id === value.id);
  const done = async (row) => {
    await list.reload();
    setUnfit(row.status === "invalid" ? row : null);
    if (row.status !== "invalid") change({ id: row.id });
  };
  return html`
    <${Pick} id="teacher" label="Checkpoint" rows=${rows} value=${value.id} pick=${(id) => change(id ? { id } : {})} wrong=${wrong("/teacher/id")}
      empty="None yet: drop one below" words=${(row) => `${row.name} · ${row.architecture ?? row.format}`} />
    ${picked && html`<${Recognised} teacher=${picked} />`}
    <${Unfit} row=${unfit} />
    <${Drop} kind="teachers" accept=${CHECKPOINTS} words="Bring a checkpoint: a state dict (.pt, .pth), safetensors or ONNX" done=${done} />`;
}

/** What the check has found in a checkpoint. */
export const Recognised = ({ teacher }) => html`<p class="picked"><${Status} of=${teacher.status} />
  ${teacher.architecture ? html`<span>Recognised: <strong>${teacher.architecture}</strong></span>` : html`<span>${teacher.format}</span>`}
  ${teacher.parameters && html`<${Tag}>${count(teacher.parameters)} parameters</${Tag}>`}
  ${teacher.num_classes !== null && html`<${Tag}>${teacher.num_classes ? `${whole(teacher.num_classes)} classes` : "no classifier: features teach"}</${Tag}>`}
  ${Object.entries(teacher.options).map(([name, option]) => html`<${Tag}>${name}: ${String(option)}</${Tag}>`)}</p>`;

function Made({ value, change, wrong }) {
  const list = useGet("/v1/models?limit=200");
  const rows = list.data?.items ?? [];
  return html`<${Pick} id="model" label="Model" rows=${rows} value=${value.model_id} pick=${(id) => change({ model_id: id })} wrong=${wrong("/teacher/model_id")}
    empty="No model has been made yet" words=${(row) => `${row.name}@${row.version} · ${row.architecture} · ${count(row.parameters)} parameters`} />`;
}

function Published({ value, change, wrong, catalog }) {
  return html`<div class="field"><label for="pretrained">Architecture</label>
    <input class="input" id="pretrained" list="published" autocomplete="off" placeholder="resnet50" value=${value.pretrained} aria-describedby="pretrained-about" onChange=${(event) => change({ pretrained: event.target.value.trim() })} />
    <datalist id="published">${catalog.names.filter((one) => one.pretrained).map((one) => html`<option value=${one.name} />`)}</datalist>
    <span id="pretrained-about"><span class="wrong">${wrong("/teacher/pretrained")}</span> <span class="hint">The worker fetches the weights: it needs a way to them.</span></span></div>`;
}
