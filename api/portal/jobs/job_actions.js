/** Buttons that act on a job. Actions that lose work ask for confirmation. */
import { post } from "../lib/api.js";
import { Role, session } from "../lib/session.js";
import { ActionButton } from "../ui/components.js";
import { DeleteButton } from "../ui/delete_button.js";
import { ConfirmDialog } from "../ui/dialogs.js";
import { Checkbox } from "../ui/form_fields.js";
import { toast } from "../ui/toast.js";
import { html, useState } from "../vendor/preact.js";
import { hasEnded, isPausable, isRetriable, JobStatus } from "./job_status.js";

export function JobActions({ job, onUpdate }) {
  const [openDialog, setOpenDialog] = useState(null); // "cancel" or "retry"
  if (!session.hasRole(Role.SUBMITTER)) return null;
  const run = (action, message) => async () => {
    onUpdate(await post(`/v1/jobs/${job.id}/${action}`));
    toast(message);
  };
  const pause = run("pause", "The job pauses once its checkpoint is saved");
  const resume = run("resume", "The job is queued and resumes from its checkpoint");
  const dialogProps = { job, onUpdate, onClose: () => setOpenDialog(null) };
  return html`
    ${isPausable(job) && html`<${ActionButton} onClick=${pause}>Pause</${ActionButton}>`}
    ${job.status === JobStatus.PAUSED && html`<${ActionButton} kind="primary" onClick=${resume}>
      Resume
    </${ActionButton}>`}
    ${isRetriable(job) && html`<button class="button" onClick=${() => setOpenDialog("retry")}>
      Retry
    </button>`}
    <a class="button" href=${`#/new?clone=${job.id}`}>Clone</a>
    ${hasEnded(job)
      ? html`<${DeleteJobButton} job=${job} />`
      : html`<button class="button danger" onClick=${() => setOpenDialog("cancel")}>
          Cancel
        </button>`}
    ${openDialog === "cancel" && html`<${CancelJobDialog} ...${dialogProps} />`}
    ${openDialog === "retry" && html`<${RetryJobDialog} ...${dialogProps} />`}`;
}

function CancelJobDialog({ job, onUpdate, onClose }) {
  const [force, setForce] = useState(job.status === JobStatus.CANCELLING);
  const cancel = async () =>
    onUpdate(await post(`/v1/jobs/${job.id}/cancel${force ? "?force=true" : ""}`));
  return html`<${ConfirmDialog} title="Cancel this job?"
    text="The job saves a checkpoint and stops. To continue from there, retry the job."
    label="Cancel job" dismissLabel="Keep job" kind="danger" onConfirm=${cancel}
    onClose=${onClose}>
    <${Checkbox} label="Cancel immediately, without saving a checkpoint" value=${force}
      onChange=${setForce} />
  </${ConfirmDialog}>`;
}

function RetryJobDialog({ job, onUpdate, onClose }) {
  const hasCheckpoint = job.checkpoint_step !== null;
  const [fromStart, setFromStart] = useState(!hasCheckpoint);
  const text = hasCheckpoint
    ? `The job resumes from its checkpoint at step ${job.checkpoint_step}.`
    : "The job has no checkpoint and starts from the beginning.";
  const retry = async () =>
    onUpdate(await post(`/v1/jobs/${job.id}/retry`, { from_start: fromStart }));
  return html`<${ConfirmDialog} title="Retry this job?" text=${text} label="Retry job"
    onConfirm=${retry} onClose=${onClose}>
    ${hasCheckpoint && html`<${Checkbox}
      label="Start over, and discard the checkpoint and the metrics"
      value=${fromStart} onChange=${setFromStart} />`}
  </${ConfirmDialog}>`;
}

function DeleteJobButton({ job }) {
  const withModel = { parameter: "with_model", label: "Also delete the model that it created" };
  return html`<${DeleteButton} noun="job" collection="/jobs" id=${job.id}
    name=${job.name || job.id} options=${job.model_id ? [withModel] : []}
    text="Its events, metrics, logs and checkpoint are deleted. This cannot be undone." />`;
}
