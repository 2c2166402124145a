/** A model: its quality next to its teacher's, files, model card, lineage and metadata. */
import { get } from "../lib/api.js";
import { formatBytes, formatCount, formatInteger, formatMilliseconds } from "../lib/format.js";
import { useFetch } from "../lib/hooks.js";
import { resourceUrl, updateQuery } from "../lib/router.js";
import { Role, session } from "../lib/session.js";
import {
  AsyncContent, CopyButton, DescriptionList, ErrorNotice, PageHeader, Panel, RelativeTime,
  StatTiles, Tabs, Warnings,
} from "../ui/components.js";
import { Markdown } from "../ui/markdown.js";
import { html, useEffect, useState } from "../vendor/preact.js";
import { ClassAccuracy } from "./class_accuracy.js";
import { ModelFiles } from "./model_files.js";
import { ModelLineage } from "./model_lineage.js";
import { DeleteModelButton, ModelAliases, ModelNotes, ModelTags } from "./model_metadata.js";
import {
  describeGain, formatAccuracy, formatPoints, formatRatio, mainAccuracy, mainFile, modelTitle,
} from "./model_metrics.js";
import { TeacherComparison } from "./teacher_comparison.js";

const IMPORT_CHECK_POLL_MS = 2000;
const MAX_LISTED_CLASSES = 12;
const ImportCheckStatus = Object.freeze({ WAITING: "waiting", FAILED: "failed" });
const TABS = [
  ["quality", "Quality"], ["classes", "Classes"], ["files", "Files"], ["card", "Model card"],
  ["lineage", "Lineage"],
];
const DEFAULT_TAB = "quality";

export function Page({ id, query }) {
  const [intervalMs, setIntervalMs] = useState(0);
  const modelQuery = useFetch(`/v1/models/${encodeURIComponent(id)}`, { intervalMs });
  const checkStatus = modelQuery.data?.imported?.trial?.status;
  useEffect(() => {
    setIntervalMs(checkStatus === ImportCheckStatus.WAITING ? IMPORT_CHECK_POLL_MS : 0);
  }, [checkStatus]);
  const tab = TABS.some(([name]) => name === query.tab) ? query.tab : DEFAULT_TAB;
  const selectTab = (name) => updateQuery({ tab: name === DEFAULT_TAB ? "" : name });
  return html`<${AsyncContent} query=${modelQuery}>${(model) => html`
    <${ModelHeader} model=${model} />
    <div class="stack">
      <${Gain} baseline=${model.metrics.baseline} />
      <${Warnings} texts=${model.warnings} />
      <${ModelTiles} model=${model} />
      <${Tabs} label="Model details" tabs=${TABS} value=${tab} onSelect=${selectTab}>
        ${tab === "quality" && html`<${TeacherComparison} model=${model} />`}
        ${tab === "classes" && html`<${ClassAccuracy} model=${model} />`}
        ${tab === "files" && html`<${ModelFiles} model=${model} />`}
        ${tab === "card" && html`<${ModelCard} model=${model} />`}
        ${tab === "lineage" && html`<${ModelLineage} model=${model} />`}
      </${Tabs}>
      <div class="grid-2 align-start">
        <${ModelFacts} model=${model} />
        <div class="stack">
          <${ModelAliases} model=${model} onUpdate=${modelQuery.reload} />
          <${ModelTags} model=${model} onUpdate=${modelQuery.setData} />
          <${ModelNotes} model=${model} onUpdate=${modelQuery.setData} />
        </div>
      </div>
    </div>`}</${AsyncContent}>`;
}

function ModelHeader({ model }) {
  const about = html`${model.architecture}, ${formatCount(model.parameters)} parameters
    ${" "}<${CopyButton} text=${model.id} />`;
  return html`<${PageHeader} title=${modelTitle(model)} breadcrumbs=${[["Models", "#/models"]]}
    about=${about}>
    <a class="button primary" href=${`/v1/models/${model.id}/bundle`} download>Download all</a>
    <a class="button" href=${`#/compare?ids=${model.id}`}>Compare</a>
    ${session.hasRole(Role.SUBMITTER) && html`
      <a class="button" href=${`#/new?teacher_model=${model.id}`}>Use as teacher</a>
      <${DeleteModelButton} model=${model} />`}
  </${PageHeader}>`;
}

/** What the teacher adds, in one sentence. */
function Gain({ baseline }) {
  const gain = describeGain(baseline);
  if (!gain) return null;
  return html`<section class="notice ${gain.tone}" aria-label="Gain"><div>
    <strong>${gain.text}</strong><p>${gain.note}</p>
  </div></section>`;
}

function ModelTiles({ model }) {
  const { student, teacher, test } = model.metrics;
  const file = mainFile(model);
  const studentAccuracy = mainAccuracy(student);
  const teacherAccuracy = mainAccuracy(teacher);
  const isComparable = teacher && studentAccuracy.label === teacherAccuracy.label;
  const difference = formatPoints(studentAccuracy.value - teacherAccuracy.value);
  const ratio =
    teacher ? formatRatio(model.parameters, teacher.parameters, "fewer", "more") : null;
  return html`<${StatTiles} items=${[
    [
      "Accuracy", formatAccuracy(student),
      isComparable ? `${difference} vs. the teacher` : "on the val split",
    ],
    ...(test ? [["Test accuracy", formatAccuracy(test.student), describeTest(test)]] : []),
    ["Agreement", formatAccuracy({ top1: student?.agreement }), "with the teacher's predictions"],
    ["Parameters", formatCount(model.parameters), ratio],
    ["Size", formatBytes(file?.size), file?.name],
    ["Latency", formatMilliseconds(file?.latency_ms), "per image, on the CPU"],
  ]} />`;
}

function describeTest({ student, teacher }) {
  const measured = `on ${formatInteger(student.images)} test images`;
  return teacher ? `${measured}; teacher ${formatAccuracy(teacher)}` : measured;
}

function ModelFacts({ model }) {
  const { classes, imported, job_id: jobId } = model;
  const listed = classes.slice(0, MAX_LISTED_CLASSES).join(", ");
  const more = classes.length > MAX_LISTED_CLASSES ? ", …" : "";
  const jobLink = html`<a class="mono" href=${resourceUrl("job", jobId)}>${jobId}</a>`;
  const versionsUrl = `#/models?name=${encodeURIComponent(model.name)}`;
  const items = [
    ["Created by", jobId ? jobLink : "an imported bundle"],
    ["Versions", html`<a href=${versionsUrl}>All versions of ${model.name}</a>`],
    ["Classes", `${classes.length}: ${listed}${more}`],
    ["Options", html`<span class="mono">${JSON.stringify(model.options)}</span>`],
    ["Students", html`<a href=${`#/models?teacher=${model.id}`}>Show students</a>`],
    ["Owner", html`<span class="mono">${model.owner}</span>`],
    ["Created", html`<${RelativeTime} time=${model.created_at} />`],
  ];
  if (imported) {
    items.push(["Imported from", html`${imported.name} ${imported.version}
      ${" "}<span class="mono small">${imported.sha256}</span>`]);
  }
  if (imported?.trial) {
    items.push(["Import check", html`<${ImportCheck} check=${imported.trial} />`]);
  }
  return html`<${Panel} title="Details"><${DescriptionList} items=${items} /></${Panel}>`;
}

/** The result of a worker's check of imported files. */
function ImportCheck({ check: { status, error, tried, left_out: skipped } }) {
  if (status === ImportCheckStatus.WAITING) return "Waiting for a worker to run the files.";
  if (status === ImportCheckStatus.FAILED) {
    return html`<strong>Failed:</strong> ${error.message} ${error.hint}`;
  }
  const note = skipped.length > 0 && html` <span class="muted">
    Not checked: ${skipped.join(", ")}.
  </span>`;
  return html`Loaded and ran ${tried.join(", ")}. The results match the report.${note}`;
}

const MARKDOWN_HEADERS = { Accept: "text/markdown" };
const FRONT_MATTER = /^---\n[^]*?\n---\n/; // metadata for the Hugging Face Hub

/** The model card that the service generates. */
function ModelCard({ model }) {
  const [card, setCard] = useState({}); // {text} or {error}
  useEffect(() => {
    get(`/v1/models/${model.id}/card`, { headers: MARKDOWN_HEADERS }).then(
      (text) => setCard({ text }),
      (error) => setCard({ error }),
    );
  }, [model.id]);
  const { text, error } = card;
  const download = text && html`<a class="button tiny"
    href=${`data:text/markdown;charset=utf-8,${encodeURIComponent(text)}`}
    download=${`${model.name}-${model.version}.md`}>Download as Markdown</a>`;
  const placeholder = html`<div class="skeleton" role="status" aria-label="Loading"></div>`;
  return html`<${Panel} title="Model card" headerActions=${download}>
    <${ErrorNotice} error=${error} />
    ${text && html`<${Markdown} text=${text.replace(FRONT_MATTER, "")} />`}
    ${!text && !error && placeholder}
  </${Panel}>`;
}
