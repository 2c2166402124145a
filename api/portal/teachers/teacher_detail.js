/** A teacher: what the check recognized in its checkpoint, and the students distilled from it. */
import { formatBytes, formatInteger, formatNumber } from "../lib/format.js";
import { useFetch } from "../lib/hooks.js";
import { resourceUrl } from "../lib/router.js";
import { Role, session } from "../lib/session.js";
import {
  AsyncContent, CopyButton, DescriptionList, ErrorNotice, PageHeader, Panel, RelativeTime,
  StatusBadge, Tag, TagList,
} from "../ui/components.js";
import { DeleteButton } from "../ui/delete_button.js";
import { UploadStatus } from "../ui/file_upload.js";
import { html } from "../vendor/preact.js";

const FORCE_OPTIONS = [{
  parameter: "force", errorCode: "teacher_in_lineage",
  label: "Delete anyway. These models can then no longer be reproduced.",
}];
const DELETE_TEXT =
  "Its file is deleted. Models distilled from it are kept, but failed jobs that used it cannot be "
  + "retried. This cannot be undone.";

export function Page({ id }) {
  const teacherQuery = useFetch(`/v1/teachers/${id}`, { intervalMs: 4000 });
  const students = useFetch(`/v1/models?teacher=${id}&limit=50`);
  return html`<${AsyncContent} query=${teacherQuery}>${(teacher) => html`
    <${TeacherHeader} teacher=${teacher} />
    <div class="stack">
      <${ErrorNotice} error=${teacher.error} />
      ${teacher.status === UploadStatus.VALIDATING && html`<p class="notice">
        <span>A worker is checking the file. The page updates once the check is done.</span>
      </p>`}
      ${teacher.notices?.length > 0 && html`<section class="notice warn"
        aria-label="Notices from the check"><div>
        <strong>Notices from the check</strong>
        ${teacher.notices.map((notice) => html`<p>${notice}</p>`)}
      </div></section>`}
      <${Panel} title="Checkpoint">
        <${DescriptionList} wide items=${teacherFacts(teacher)} />
      </${Panel}>
      <${Panel} title="Students"><${StudentLinks} models=${students.data?.items ?? []} /></${Panel}>
    </div>`}</${AsyncContent}>`;
}

function TeacherHeader({ teacher: { id, name, status } }) {
  const canSubmit = session.hasRole(Role.SUBMITTER);
  const isReady = status === UploadStatus.READY;
  return html`<${PageHeader} title=${name} breadcrumbs=${[["Teachers", "#/teachers"]]}
    about=${html`<${StatusBadge} status=${status} /> <${CopyButton} text=${id} />`}>
    ${canSubmit && isReady && html`<a class="button primary" href=${`#/new?teacher=${id}`}>
      Distill
    </a>`}
    ${canSubmit && html`<${DeleteButton} noun="teacher" collection="/teachers" id=${id}
      name=${name} text=${DELETE_TEXT} options=${FORCE_OPTIONS} />`}
  </${PageHeader}>`;
}

function StudentLinks({ models }) {
  if (!models.length) return html`<p class="muted">No students yet.</p>`;
  const links = models.map(({ id, name, version }) => html`<a href=${resourceUrl("model", id)}>
    <${Tag}>${name}@${version}</${Tag}>
  </a>`);
  return html`<div class="row">${links}</div>`;
}

const formatNumbers = (values) => values?.map((value) => formatNumber(value, 3)).join(", ");

function teacherFacts(teacher) {
  const { normalization, num_classes: classes } = teacher;
  const options = Object.entries(teacher.options).map(([name, value]) => `${name}: ${value}`);
  return [
    ["Architecture", teacher.architecture],
    ["Parameters", formatInteger(teacher.parameters)],
    ["Options", options.length ? html`<${TagList} tags=${options} />` : null],
    ["Classes", classes === 0 ? "no classifier (features only)" : formatInteger(classes)],
    ["Mean", formatNumbers(normalization?.mean) ?? "determined before each job"],
    ["Standard deviation", formatNumbers(normalization?.std) ?? "determined before each job"],
    ["Format", teacher.format],
    ["Size", formatBytes(teacher.size)],
    ["SHA-256", html`<code>${teacher.sha256}</code>`],
    ["Uploaded", html`<${RelativeTime} time=${teacher.created_at} />`],
  ];
}
