/** What may be changed about a model: aliases, tags, notes; and its end. What others may rely on asks first. */
import { get, patch, put, remove } from "./api.js";
import { Doing, Panel, Refusal, Tag, toast } from "./parts.js";
import { Check, Question } from "./question.js";
import { go } from "./router.js";
import { session } from "./session.js";
import { html, useState } from "./vendor/preact.js";

const addressOf = (model, alias) => `/v1/registry/${encodeURIComponent(model.name)}/aliases/${encodeURIComponent(alias)}`;

export function Aliases({ model, changed }) {
  const [alias, set] = useState("");
  const [problem, fail] = useState(null);
  const [asked, ask] = useState(null); // {alias, from}: from null removes it
  const point = async (word) => {
    await put(addressOf(model, word), { model: model.id });
    set("");
    toast(`${model.name}@${word} is version ${model.version} now`);
    await changed();
  };
  const submit = async () => {
    fail(null);
    const { aliases } = await get(`/v1/registry/${encodeURIComponent(model.name)}`);
    const other = aliases[alias];
    if (other && other !== model.id) ask({ alias, from: await get(`/v1/models/${other}`) });
    else await point(alias);
  };
  const mine = session.reaches("submitter") && model.owner === session.me.owner; // an alias is one of its owner's words
  return html`<${Panel} title="Aliases"><div class="stack">
    ${model.aliases.length ? html`<ul class="chips">${model.aliases.map((word) => html`<li><span class="tag alias">@${word}</span>${mine && html`<button type="button" class="button plain tiny" aria-label=${`Remove the alias ${word}`} onClick=${() => ask({ alias: word, from: null })}>Remove</button>`}</li>`)}</ul>` : html`<p class="quiet">None. An alias such as champion stands for this version wherever a model is named: ${model.name}@champion.</p>`}
    ${mine && html`<form class="row" onSubmit=${(event) => event.preventDefault()}><input class="input short" aria-label="Alias to set on this version" placeholder="champion" value=${alias} onInput=${(event) => set(event.target.value.trim())} /><${Doing} does=${submit} fail=${fail} type="submit" disabled=${!alias}>Set alias</${Doing}></form>`}
    <${Refusal} problem=${problem} />
    ${asked?.from && html`<${Question} title=${`Move ${asked.alias} to version ${model.version}?`} text=${`It points at version ${asked.from.version} now. Whoever asks for ${model.name}@${asked.alias} gets this version from now on.`} words="Move it" does=${() => point(asked.alias)} close=${() => ask(null)} />`}
    ${asked?.from === null && html`<${Without} model=${model} alias=${asked.alias} changed=${changed} close=${() => ask(null)} />`}
  </div></${Panel}>`;
}

function Without({ model, alias, changed, close }) {
  const does = async () => {
    await remove(addressOf(model, alias));
    await changed();
  };
  return html`<${Question} title=${`Remove the alias ${alias}?`} text=${`The model stays. ${model.name}@${alias} leads nowhere then, and what asks for it is refused.`} words="Remove it" kind="danger" does=${does} close=${close} />`;
}

export function Tags({ model, changed }) {
  const [tag, set] = useState("");
  const [problem, fail] = useState(null);
  const set_ = (tags) => async () => {
    fail(null);
    changed(await patch(`/v1/models/${model.id}`, { tags }));
    set("");
  };
  const may = session.reaches("submitter");
  return html`<${Panel} title="Tags"><div class="stack">
    ${model.tags.length ? html`<ul class="chips">${model.tags.map((one) => html`<li key=${one}><${Tag}>${one}</${Tag}>${may && html`<${Doing} kind="plain tiny" does=${set_(model.tags.filter((other) => other !== one))} fail=${fail}><span class="hidden-visually">Remove the tag ${one}</span><span aria-hidden="true">×</span></${Doing}>`}</li>`)}</ul>` : html`<p class="quiet">None. The list of models can be filtered by tags.</p>`}
    ${may && html`<form class="row" onSubmit=${(event) => event.preventDefault()}><input class="input short" aria-label="Tag to add" placeholder="shipped" value=${tag} onInput=${(event) => set(event.target.value.trim())} /><${Doing} does=${set_([...model.tags, tag])} fail=${fail} type="submit" disabled=${!tag}>Add tag</${Doing}></form>`}
    <${Refusal} problem=${problem} />
  </div></${Panel}>`;
}

export function Notes({ model, changed }) {
  const [notes, set] = useState(model.notes);
  const [problem, fail] = useState(null);
  const save = async () => {
    fail(null);
    changed(await patch(`/v1/models/${model.id}`, { notes }));
    toast("Notes are saved");
  };
  if (!session.reaches("submitter")) return html`<${Panel} title="Notes"><p class="notes">${model.notes || "None."}</p></${Panel}>`;
  return html`<${Panel} title="Notes"><div class="stack">
    <textarea class="input" aria-label="Notes" rows="4" value=${notes} onInput=${(event) => set(event.target.value)}></textarea>
    <${Refusal} problem=${problem} />
    <div class="row"><${Doing} does=${save} fail=${fail} disabled=${notes === model.notes}>Save notes</${Doing}></div>
  </div></${Panel}>`;
}

const FORCIBLE = { model_aliased: "Delete it with its aliases", model_taught: "Delete it all the same: its students' lineage keeps its id alone" };

export function Delete({ model }) {
  const [asked, ask] = useState(false);
  const [code, hear] = useState(null);
  const [force, setForce] = useState(false);
  const does = async () => {
    await remove(`/v1/models/${model.id}${force ? "?force=true" : ""}`);
    toast(`${model.name} ${model.version} is deleted`);
    go("/models");
  };
  const close = () => {
    ask(false);
    hear(null);
    setForce(false);
  };
  return html`<button class="button danger" onClick=${() => ask(true)}>Delete</button>
    ${asked && html`<${Question} title="Delete this model?" text="Its files go with it; its job stays. This cannot be undone, and its version number does not come again." words="Delete" kind="danger" does=${does} heard=${(problem) => hear(problem.code)} close=${close}>
      ${code in FORCIBLE && html`<${Check} words=${FORCIBLE[code]} value=${force} set=${setForce} />`}
    </${Question}>`}`;
}
