/** The inputs of a job: dataset and teacher, selected from a list or uploaded here. */
import { formatCount, formatInteger } from "../lib/format.js";
import { useFetch } from "../lib/hooks.js";
import {
  ErrorNotice, Panel, SegmentedControl, StatusBadge, Tag, TagList,
} from "../ui/components.js";
import { FileUpload, UploadStatus } from "../ui/file_upload.js";
import { html, useEffect, useState } from "../vendor/preact.js";

const isUsable = (upload) => upload.status !== UploadStatus.INVALID;

/** A select for a resource by its id. `format(resource)` is the text of an option. */
export function ResourceSelect(
  { id, label, resources, value, onSelect, format, error, emptyText },
) {
  const options = resources.map(
    (resource) => html`<option value=${resource.id}>${format(resource)}</option>`,
  );
  const errorId = `${id}-error`;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <select class="input" id=${id} value=${value ?? ""} aria-invalid=${String(Boolean(error))}
      aria-describedby=${errorId} onChange=${(event) => onSelect(event.target.value)}>
      <option value="">${resources.length ? "Select…" : emptyText}</option>${options}
    </select>
    <span class="field-error" id=${errorId}>${error}</span>
  </div>`;
}

/** List a collection's valid uploads. `onUploaded` selects a new one, or sets it as `invalid`. */
function useUploads(collection, onSelect) {
  const list = useFetch(`/v1/${collection}?limit=200`);
  const [invalid, setInvalid] = useState(null);
  const onUploaded = async (upload) => {
    await list.reload();
    setInvalid(isUsable(upload) ? null : upload);
    if (isUsable(upload)) onSelect(upload.id);
  };
  return { uploads: (list.data?.items ?? []).filter(isUsable), invalid, onUploaded };
}

function InvalidUploadNotice({ upload }) {
  if (!upload) return null;
  const { name, error } = upload;
  return html`<${ErrorNotice} error=${{ ...error, message: `${name}: ${error.message}` }} />`;
}

export function DatasetFields({ value, onChange, errorFor }) {
  const select = (id) => onChange({ ...value, id: id || undefined });
  const { uploads, invalid, onUploaded } = useUploads("datasets", select);
  const selected = uploads.find((dataset) => dataset.id === value.id);
  const format = ({ name, classes, status }) =>
    `${name} · ${classes ? `${classes.length} classes` : status}`;
  return html`<${Panel} title="Dataset"><div class="stack">
    <${ResourceSelect} id="dataset" label="Images to train on" resources=${uploads}
      value=${value.id} onSelect=${select} error=${errorFor("/dataset/id")}
      emptyText="No datasets yet. Upload one below." format=${format} />
    ${selected && html`<${DatasetSummary} dataset=${selected} />`}
    <${InvalidUploadNotice} upload=${invalid} />
    <${FileUpload} collection="datasets" onUploaded=${onUploaded} />
  </div></${Panel}>`;
}

function DatasetSummary({ dataset: { status, splits, image } }) {
  const counts = splits
    && `${formatInteger(splits.train)} training and ${formatInteger(splits.val)} evaluation images`;
  return html`<p class="selected">
    <${StatusBadge} status=${status} />
    ${counts && html`<span>${counts}</span>`}
    ${image && html`<${Tag}>${image.width} × ${image.height}</${Tag}>`}
  </p>`;
}

const TEACHER_KINDS = [
  ["upload", "Checkpoint"], ["model", "Registered model"], ["pretrained", "Pretrained weights"],
  ["none", "None (labels only)"],
];
const EMPTY_TEACHERS = {
  upload: {}, model: { model_id: "" }, pretrained: { pretrained: "" }, none: null,
};

function teacherKind(teacher) {
  if (!teacher) return "none";
  if (teacher.model_id !== undefined) return "model";
  return teacher.pretrained !== undefined ? "pretrained" : "upload";
}

export function TeacherFields({ value, onChange, errorFor, catalog }) {
  const [kind, setKind] = useState(teacherKind(value));
  useEffect(() => setKind(teacherKind(value)), [value === null]);
  const selectKind = (name) => {
    setKind(name);
    onChange(EMPTY_TEACHERS[name]);
  };
  const fieldProps = { value: value ?? {}, onChange, errorFor };
  const error = errorFor("/teacher");
  return html`<${Panel} title="Teacher"><div class="stack">
    <${SegmentedControl} label="Kind of teacher" options=${TEACHER_KINDS} value=${kind}
      onSelect=${selectKind} />
    ${kind === "upload" && html`<${UploadedTeacherFields} ...${fieldProps} />`}
    ${kind === "model" && html`<${ModelTeacherFields} ...${fieldProps} />`}
    ${kind === "pretrained" && html`<${PretrainedTeacherFields} ...${fieldProps}
      catalog=${catalog} />`}
    ${kind === "none" && html`<p class="muted">
      The student trains on labels only. Use this as a baseline, or to train a teacher for later
      jobs.
    </p>`}
    ${error && html`<p class="field-error" role="alert">${error}</p>`}
  </div></${Panel}>`;
}

function UploadedTeacherFields({ value, onChange, errorFor }) {
  const select = (id) => onChange(id ? { id } : {});
  const { uploads, invalid, onUploaded } = useUploads("teachers", select);
  const selected = uploads.find((teacher) => teacher.id === value.id);
  return html`
    <${ResourceSelect} id="teacher" label="Checkpoint" resources=${uploads} value=${value.id}
      onSelect=${select} error=${errorFor("/teacher/id")}
      emptyText="No teachers yet. Upload one below."
      format=${({ name, architecture, format }) => `${name} · ${architecture ?? format}`} />
    ${selected && html`<${RecognizedTeacher} teacher=${selected} />`}
    <${InvalidUploadNotice} upload=${invalid} />
    <${FileUpload} collection="teachers" onUploaded=${onUploaded} />`;
}

/** What the check recognized in a checkpoint. */
function RecognizedTeacher({ teacher }) {
  const { architecture, parameters, num_classes: classes, options } = teacher;
  const tags = Object.entries(options).map(([name, option]) => `${name}: ${option}`);
  if (classes !== null) {
    tags.unshift(classes ? `${formatInteger(classes)} classes` : "no classifier (features only)");
  }
  if (parameters) tags.unshift(`${formatCount(parameters)} parameters`);
  return html`<p class="selected">
    <${StatusBadge} status=${teacher.status} />
    ${architecture
      ? html`<span>Recognized: <strong>${architecture}</strong></span>`
      : html`<span>${teacher.format}</span>`}
    <${TagList} tags=${tags} />
  </p>`;
}

function ModelTeacherFields({ value, onChange, errorFor }) {
  const list = useFetch("/v1/models?limit=200");
  const format = ({ name, version, architecture, parameters }) =>
    `${name}@${version} · ${architecture} · ${formatCount(parameters)} parameters`;
  return html`<${ResourceSelect} id="model" label="Model" resources=${list.data?.items ?? []}
    value=${value.model_id} onSelect=${(id) => onChange({ model_id: id })}
    error=${errorFor("/teacher/model_id")} emptyText="No models yet" format=${format} />`;
}

function PretrainedTeacherFields({ value, onChange, errorFor, catalog }) {
  const pretrained = catalog.allArchitectures.filter((architecture) => architecture.pretrained);
  return html`<div class="field">
    <label for="pretrained">Architecture</label>
    <input class="input" id="pretrained" list="pretrained-architectures" autocomplete="off"
      placeholder="resnet50" value=${value.pretrained} aria-describedby="pretrained-about"
      onChange=${(event) => onChange({ pretrained: event.target.value.trim() })} />
    <datalist id="pretrained-architectures">
      ${pretrained.map(({ name }) => html`<option value=${name} />`)}
    </datalist>
    <span id="pretrained-about">
      <span class="field-error">${errorFor("/teacher/pretrained")}</span>${" "}
      <span class="hint">The worker downloads the weights and needs network access for that.</span>
    </span>
  </div>`;
}
