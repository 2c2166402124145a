/** The list of uploaded teacher checkpoints, and the upload of a new one. */
import { formatBytes, formatCount, formatInteger, MISSING_TEXT } from "../lib/format.js";
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
  const teachers = usePaginatedList("/v1/teachers?limit=50", { intervalMs: 5000 });
  const onUploaded = ({ id, name, status, architecture }) => {
    teachers.reload();
    if (status === UploadStatus.INVALID) return navigate(`/teachers/${id}`);
    return toast(`${name} is ready`, architecture ? `Recognized: ${architecture}` : "");
  };
  return html`
    <${PageHeader} title="Teachers" about=${"Checkpoints of large models. The service recognizes "
      + "their architecture, and verifies a teacher on the dataset before each job."} />
    <div class="stack">
      ${session.hasRole(Role.SUBMITTER) && html`<${FileUpload} collection="teachers"
        onUploaded=${onUploaded} />`}
      <${AsyncContent} query=${teachers}>${(items) => html`<${Panel} flush label=${null}>
        ${items.length ? html`<${TeacherTable} teachers=${items} />` : html`<${NoTeachers} />`}
      </${Panel}>`}</${AsyncContent}>
      <${LoadMoreButton} query=${teachers}>Show older teachers</${LoadMoreButton}>
    </div>`;
}

const NoTeachers = () => html`<${EmptyState} title="No teachers yet">
  ${session.hasRole(Role.SUBMITTER)
    ? "Upload a checkpoint above. Registered models and pretrained weights need no upload: select "
      + "them when you submit a job."
    : "Ask someone with the submitter role to upload one."}
</${EmptyState}>`;

const TeacherTable = ({ teachers }) => html`<${DataTable} cards label="Teachers" rows=${teachers}
  columns=${[
    ["Name", (teacher) => html`<a class="cell-main" href=${resourceUrl("teacher", teacher.id)}>
      ${teacher.name}
    </a>`, "main"],
    ["Status", (teacher) => html`<${StatusBadge} status=${teacher.status} />`],
    ["Architecture", formatArchitecture],
    ["Parameters", (teacher) => formatCount(teacher.parameters), "number"],
    ["Classes", formatClasses, "number"],
    ["Size", (teacher) => formatBytes(teacher.size), "number"],
    ["Uploaded", (teacher) => html`<${RelativeTime} time=${teacher.created_at} />`, "number"],
  ]} />`;

const formatArchitecture = ({ architecture, format }) =>
  architecture ?? (format === "onnx" ? "ONNX graph" : MISSING_TEXT);

const formatClasses = ({ num_classes: classes }) =>
  classes === 0 ? "features only" : formatInteger(classes);
