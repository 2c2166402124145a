/** The end of a teacher or a data set: it asks first, and once more where the lineage of a model names it. */
import { remove } from "./api.js";
import { toast } from "./parts.js";
import { Check, Question } from "./question.js";
import { go } from "./router.js";
import { html, useState } from "./vendor/preact.js";

const NAMED = new Set(["teacher_in_lineage", "dataset_in_lineage"]);

/** `noun` as people say it, `place` the page of all of them (/teachers): also where it lies in the API. */
export function Delete({ noun, place, of: row, text }) {
  const [asked, ask] = useState(false);
  const [named, hear] = useState(false);
  const [force, setForce] = useState(false);
  const does = async () => {
    await remove(`/v1${place}/${row.id}${force ? "?force=true" : ""}`);
    toast(`${row.name || row.id} is deleted`);
    go(place);
  };
  const close = () => {
    ask(false);
    hear(false);
    setForce(false);
  };
  return html`<button class="button danger" onClick=${() => ask(true)}>Delete</button>
    ${asked && html`<${Question} title=${`Delete this ${noun}?`} text=${text} words="Delete" kind="danger" does=${does} heard=${(problem) => hear(NAMED.has(problem.code))} close=${close}>
      ${named && html`<${Check} words="Delete it all the same: these models cannot be made again" value=${force} set=${setForce} />`}
    </${Question}>`}`;
}
