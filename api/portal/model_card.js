/** The model's card, as the service writes it. */
import { get } from "./api.js";
import { Markdown } from "./markdown.js";
import { Panel, Refusal } from "./parts.js";
import { html, useEffect, useState } from "./vendor/preact.js";

const TEXT = { Accept: "text/markdown" };
const FRONT = /^---\n[^]*?\n---\n/; // for the hub's machines

export function Card({ model }) {
  const [card, set] = useState({});
  useEffect(() => {
    get(`/v1/models/${model.id}/card`, { headers: TEXT }).then((text) => set({ text }), (problem) => set({ problem }));
  }, [model.id]);
  const save = card.text && html`<a class="button tiny" href=${`data:text/markdown;charset=utf-8,${encodeURIComponent(card.text)}`} download=${`${model.name}-${model.version}.md`}>Save as Markdown</a>`;
  return html`<${Panel} title="Model card" aside=${save}>
    <${Refusal} problem=${card.problem} />
    ${card.text ? html`<${Markdown} text=${card.text.replace(FRONT, "")} />` : !card.problem && html`<div class="skeleton" role="status" aria-label="Loading"></div>`}
  </${Panel}>`;
}
