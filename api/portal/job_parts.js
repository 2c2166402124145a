/** What is said of jobs in several places. */
import { Bar } from "./parts.js";
import { html } from "./vendor/preact.js";

const TERMINAL = new Set(["succeeded", "failed", "cancelled", "expired"]);
const TONES = { succeeded: "good", failed: "bad", expired: "bad" };

export const hasEnded = (job) => TERMINAL.has(job.status);

/** Whether it moves by itself: neither ended nor paused. */
export const isActive = (job) => !hasEnded(job) && job.status !== "paused";

export const JobProgress = ({ job }) => html`<${Bar} share=${job.progress.fraction} tone=${TONES[job.status] ?? ""} label=${`Progress of ${job.name || job.id}`} />`;

/** The accuracy that the teacher proved before training, by the events of the job; null: none was told. */
export function teacherOf(events) {
  const proof = events.findLast((event) => event.type === "teacher")?.data;
  return proof ? { ...proof, top1: proof.top1 ?? proof.knn_top1 } : null;
}
