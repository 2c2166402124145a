/** A model: what it is worth beside its teacher, its files, its card, where it comes from. */
import { useGet } from "../fetched.js";
import { bytes, count, milliseconds } from "../format.js";
import { Card } from "../model_card.js";
import { Classes } from "../model_classes.js";
import { accuracyOf, against, mainFile, points, shownAccuracy, titleOf } from "../model_facts.js";
import { Files } from "../model_files.js";
import { Lineage } from "../model_lineage.js";
import { Aliases, Delete, Notes, Tags } from "../model_names.js";
import { Beside } from "../model_quality.js";
import { Copy, Facts, Head, Loaded, Panel, Tabs, Tiles, When } from "../parts.js";
import { refine } from "../router.js";
import { session } from "../session.js";
import { html, useEffect, useState } from "../vendor/preact.js";

const TRIAL_EVERY = 2000; // milliseconds

const TABS = [["quality", "Teacher and student"], ["classes", "Classes"], ["files", "Files"], ["card", "Card"], ["lineage", "Lineage"]];

export function Page({ id, query }) {
  const [asking, ask] = useState(0);
  const model = useGet(`/v1/models/${encodeURIComponent(id)}`, { every: asking });
  useEffect(() => ask(model.data?.imported?.trial?.status === "waiting" ? TRIAL_EVERY : 0), [model.data]);
  const tab = TABS.some(([name]) => name === query.tab) ? query.tab : "quality";
  return html`<${Loaded} from=${model}>${(found) => html`
    <${Head} title=${titleOf(found)} crumbs=${[["Models", "#/models"]]} about=${html`${found.architecture}, ${count(found.parameters)} parameters <${Copy} text=${found.id} />`}>
      <${Actions} model=${found} />
    </${Head}>
    <div class="stack">
      <${Worth} model=${found} />
      <${Tabs} label="About this model" tabs=${TABS} value=${tab} pick=${(name) => refine({ tab: name === "quality" ? "" : name })}>
        ${tab === "quality" && html`<${Beside} model=${found} />`}
        ${tab === "classes" && html`<${Classes} model=${found} />`}
        ${tab === "files" && html`<${Files} model=${found} />`}
        ${tab === "card" && html`<${Card} model=${found} />`}
        ${tab === "lineage" && html`<${Lineage} model=${found} />`}
      </${Tabs}>
      <div class="grid-2 from-top">
        <${About} model=${found} />
        <div class="stack"><${Aliases} model=${found} changed=${model.reload} /><${Tags} model=${found} changed=${model.set} /><${Notes} model=${found} changed=${model.set} /></div>
      </div>
    </div>`}</${Loaded}>`;
}

const Actions = ({ model }) => html`
  <a class="button primary" href=${`/v1/models/${model.id}/bundle`} download>Download all</a>
  <a class="button" href=${`#/compare?ids=${model.id}`}>Compare</a>
  ${session.reaches("submitter") && html`<a class="button" href=${`#/new?teacher_model=${model.id}`}>Use as teacher</a><${Delete} model=${model} />`}`;

function Worth({ model }) {
  const { student, teacher } = model.metrics;
  const file = mainFile(model);
  const mine = accuracyOf(student);
  const theirs = accuracyOf(teacher);
  const comparable = teacher && mine.words === theirs.words;
  return html`<${Tiles} of=${[
    ["Accuracy", shownAccuracy(student), comparable ? `${points(mine.value - theirs.value)} against the teacher` : "on the val split"],
    ["Agreement", shownAccuracy({ top1: student?.agreement }), "with the teacher's answers"],
    ["Parameters", count(model.parameters), teacher ? against(model.parameters, teacher.parameters, "fewer", "more") : null],
    ["Size", bytes(file?.size), file?.name],
    ["Latency", milliseconds(file?.latency_ms), "of one image, on the CPU"],
  ]} />`;
}

const About = ({ model }) => html`<${Panel} title="About"><${Facts} of=${[
  ["Made by", model.job_id ? html`<a class="mono" href=${`#/jobs/${model.job_id}`}>${model.job_id}</a>` : "a bundle that was imported"],
  ["Versions", html`<a href=${`#/models?name=${encodeURIComponent(model.name)}`}>All of ${model.name}</a>`],
  ["Classes", html`${model.classes.length}: ${model.classes.slice(0, 12).join(", ")}${model.classes.length > 12 ? ", …" : ""}`],
  ["Options", html`<span class="mono">${JSON.stringify(model.options)}</span>`],
  ["Students of it", html`<a href=${`#/models?teacher=${model.id}`}>Show</a>`],
  ["Owner", html`<span class="mono">${model.owner}</span>`],
  ["Made", html`<${When} at=${model.created_at} />`],
  ["Imported from", model.imported && html`${model.imported.name} ${model.imported.version} <span class="mono small">${model.imported.sha256}</span>`],
  ["Tried here", model.imported?.trial && html`<${Trial} of=${model.imported.trial} />`],
].filter(([, value]) => value)} /></${Panel}>`;

/** How a worker fared with files that were made elsewhere. */
function Trial({ of }) {
  if (of.status === "waiting") return "A worker has yet to load and run the files.";
  if (of.status === "failed") return html`<strong>It failed:</strong> ${of.error.message} ${of.error.hint}`;
  return html`${of.tried.join(", ")} ${of.tried.length === 1 ? "loads, runs and is" : "load, run and are"} what the report tells of.${of.left_out.length > 0 && html` <span class="quiet">Not tried: ${of.left_out.join(", ")}.</span>`}`;
}
