/** What can be done to a job. What would lose work asks first. */
import { post, remove } from "./api.js";
import { hasEnded } from "./job_parts.js";
import { Doing, toast } from "./parts.js";
import { Check, Question } from "./question.js";
import { go } from "./router.js";
import { session } from "./session.js";
import { html, useState } from "./vendor/preact.js";

const PAUSABLE = new Set(["queued", "starting", "running", "exporting"]);
const RETRIABLE = new Set(["failed", "cancelled", "expired"]);

export function Controls({ job, changed }) {
  const [asked, ask] = useState(null);
  if (!session.reaches("submitter")) return null;
  const act = (action, words) => async () => {
    changed(await post(`/v1/jobs/${job.id}/${action}`));
    toast(words);
  };
  return html`
    ${PAUSABLE.has(job.status) && html`<${Doing} does=${act("pause", "It pauses when its checkpoint is saved")}>Pause</${Doing}>`}
    ${job.status === "paused" && html`<${Doing} kind="primary" does=${act("resume", "Queued: it goes on from its checkpoint")}>Resume</${Doing}>`}
    ${RETRIABLE.has(job.status) && html`<button class="button" onClick=${() => ask("retry")}>Retry</button>`}
    <a class="button" href=${`#/new?clone=${job.id}`}>Clone</a>
    ${!hasEnded(job) && html`<button class="button danger" onClick=${() => ask("cancel")}>Cancel</button>`}
    ${hasEnded(job) && html`<button class="button danger" onClick=${() => ask("delete")}>Delete</button>`}
    ${asked === "cancel" && html`<${Cancel} job=${job} changed=${changed} close=${() => ask(null)} />`}
    ${asked === "retry" && html`<${Retry} job=${job} changed=${changed} close=${() => ask(null)} />`}
    ${asked === "delete" && html`<${Delete} job=${job} close=${() => ask(null)} />`}`;
}

function Cancel({ job, changed, close }) {
  const [force, setForce] = useState(job.status === "cancelling");
  const does = async () => changed(await post(`/v1/jobs/${job.id}/cancel${force ? "?force=true" : ""}`));
  return html`<${Question} title="Cancel this job?" text="It saves a checkpoint and stops; a retry can go on from there." words="Cancel the job" kind="danger" does=${does} close=${close}>
    <${Check} words="At once, without saving a checkpoint" value=${force} set=${setForce} />
  </${Question}>`;
}

function Retry({ job, changed, close }) {
  const [anew, setAnew] = useState(job.checkpoint_step === null);
  const from = job.checkpoint_step === null ? "It has no checkpoint, so it begins anew." : `It goes on from its checkpoint at step ${job.checkpoint_step}.`;
  const does = async () => changed(await post(`/v1/jobs/${job.id}/retry`, { from_start: anew }));
  return html`<${Question} title="Try it again?" text=${from} words="Try again" does=${does} close=${close}>
    ${job.checkpoint_step !== null && html`<${Check} words="Begin anew, and forget the checkpoint and the curves" value=${anew} set=${setAnew} />`}
  </${Question}>`;
}

function Delete({ job, close }) {
  const [model, setModel] = useState(false);
  const does = async () => {
    await remove(`/v1/jobs/${job.id}${model ? "?with_model=true" : ""}`);
    go("/jobs");
  };
  return html`<${Question} title="Delete this job?" text="Its events, curves, logs and checkpoint go with it. This cannot be undone." words="Delete" kind="danger" does=${does} close=${close}>
    ${job.model_id && html`<${Check} words="Delete the model that it made, too" value=${model} set=${setModel} />`}
  </${Question}>`;
}
