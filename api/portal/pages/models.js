/** Models: found by name, tag and architecture; some of them to be compared. */
import { query as search } from "../api.js";
import { useList } from "../fetched.js";
import { bytes, count, milliseconds } from "../format.js";
import { mainFile, shownAccuracy, titleOf } from "../model_facts.js";
import { ImportModel } from "../model_import.js";
import { Empty, Head, Loaded, More, Panel, Rows, Tag, When } from "../parts.js";
import { refine } from "../router.js";
import { session } from "../session.js";
import { html, useState } from "../vendor/preact.js";

const MOST = 20;
const FILTERS = [["search", "Name contains", "Name"], ["tag", "Tag", "Tag"], ["architecture", "Architecture", "Architecture, as resnet8"], ["dataset", "Id of the data set", "Data set, by its id"]];

export function Page({ query }) {
  const [picked, pick] = useState([]);
  const [asking, ask] = useState(false);
  const filters = Object.fromEntries(FILTERS.map(([name]) => [name, query[name]?.trim()]));
  const models = useList(`/v1/models${search({ limit: 50, name: query.name, teacher: query.teacher, ...filters })}`, { every: 15000 });
  const filtered = Object.keys(query).length > 0;
  return html`
    <${Head} title="Models" about="Students that were distilled here or came in a bundle: versions under a name.">
      ${session.reaches("submitter") && html`<button type="button" class="button" onClick=${() => ask(true)}>Import a bundle</button>`}
      <a class="button ${picked.length > 1 ? "primary" : ""}" href=${`#/compare${search({ ids: picked.join(",") })}`}>${picked.length ? `Compare ${picked.length}` : "Compare"}</a>
    </${Head}>
    <div class="filters" role="search">${FILTERS.map(([name, label, words]) => html`<input class="input" type="search" key=${name} aria-label=${label} placeholder=${words} value=${query[name] ?? ""} onInput=${(event) => refine({ [name]: event.target.value })} />`)}</div>
    <${Loaded} from=${models}>${(items) => html`<${Panel} flush label=${null}>${items.length ? html`<${Table} models=${items} picked=${picked} pick=${pick} />` : html`<${Nothing} filtered=${filtered} />`}</${Panel}>`}</${Loaded}>
    <${More} of=${models}>Show older models</${More}>
    ${asking && html`<${ImportModel} close=${() => ask(false)} />`}`;
}

const Nothing = ({ filtered }) =>
  filtered
    ? html`<${Empty} title="No model fits these filters" action=${html`<a class="button" href="#/models">Show all models</a>`}>Tags and architectures are compared as a whole, names by any part of them.</${Empty}>`
    : html`<${Empty} title="No models yet" action=${session.reaches("submitter") && html`<a class="button primary" href="#/new">New job</a>`}>Every job that succeeds leaves a model here, with its files, what was measured of them, and where it comes from.</${Empty}>`;

function Table({ models, picked, pick }) {
  const turn = (id) => pick(picked.includes(id) ? picked.filter((one) => one !== id) : [...picked, id]);
  return html`<${Rows} cards label="Models" rows=${models} columns=${[
    [html`<span class="hidden-visually">To compare</span>`, (model) => html`<input type="checkbox" class="pick" aria-label=${`Compare ${titleOf(model)}`} checked=${picked.includes(model.id)} disabled=${picked.length >= MOST && !picked.includes(model.id)} onChange=${() => turn(model.id)} />`, "tick"],
    ["Name", (model) => html`<a class="cell-main" href=${`#/models/${model.id}`}>${model.name} <span class="quiet">${model.version}</span></a><span class="cell-sub">${model.aliases.map((alias) => html`<span class="tag alias">@${alias}</span> `)}${model.tags.map((tag) => html`<${Tag}>${tag}</${Tag}> `)}${model.origin === "imported" && "imported"}</span>`, "main"],
    ["Accuracy", (model) => shownAccuracy(model.metrics.student), "number"],
    ["Teacher's", (model) => (model.metrics.teacher ? shownAccuracy(model.metrics.teacher) : "–"), "number"],
    ["Architecture", (model) => html`${model.architecture}<span class="cell-sub">${count(model.parameters)} parameters</span>`],
    ["Size", (model) => bytes(mainFile(model)?.size), "number"],
    ["Latency", (model) => milliseconds(mainFile(model)?.latency_ms), "number"],
    ["Made", (model) => html`<${When} at=${model.created_at} />`, "number"],
  ]} />`;
}
