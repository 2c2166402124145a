/** Routes and navigation. A page is one line in ROUTES and a module that exports `Page`. */
import { Role } from "../lib/session.js";

export const ROUTES = [
  { path: "/jobs", load: () => import("../jobs/job_list.js") },
  { path: "/jobs/:id", load: () => import("../jobs/job_detail.js") },
  { path: "/new", load: () => import("../job_form/new_job.js") },
  { path: "/teachers", load: () => import("../teachers/teacher_list.js") },
  { path: "/teachers/:id", load: () => import("../teachers/teacher_detail.js") },
  { path: "/models", load: () => import("../models/model_list.js") },
  { path: "/models/:id", load: () => import("../models/model_detail.js") },
  { path: "/compare", load: () => import("../models/compare_models.js") },
  { path: "/datasets", load: () => import("../datasets/dataset_list.js") },
  { path: "/datasets/:id", load: () => import("../datasets/dataset_detail.js") },
  { path: "/workers", load: () => import("../service/worker_list.js") },
  { path: "/usage", load: () => import("../service/usage.js") },
  { path: "/webhooks", load: () => import("../service/webhook_list.js") },
  { path: "/webhooks/:id", load: () => import("../service/webhook_detail.js") },
  { path: "/keys", load: () => import("../service/api_keys.js") },
  { path: "/audit", load: () => import("../service/audit_log.js") },
];

/** Groups of the navigation: [title, [[label, path, minimum role], …]]. */
export const NAVIGATION = [
  ["Training", [["Jobs", "/jobs", Role.VIEWER], ["New job", "/new", Role.SUBMITTER]]],
  ["Registry", [
    ["Models", "/models", Role.VIEWER],
    ["Compare", "/compare", Role.VIEWER],
    ["Teachers", "/teachers", Role.VIEWER],
    ["Datasets", "/datasets", Role.VIEWER],
  ]],
  ["Service", [
    ["Workers", "/workers", Role.VIEWER],
    ["Usage", "/usage", Role.VIEWER],
    ["Webhooks", "/webhooks", Role.VIEWER],
    ["API keys", "/keys", Role.ADMIN],
    ["Audit log", "/audit", Role.ADMIN],
  ]],
];
