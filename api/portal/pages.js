/** Every page: its pattern, the module that draws it (its `Page`), and its place in the navigation. A page is one line here. */
export const PAGES = [
  { path: "/jobs", load: () => import("./pages/jobs.js") },
  { path: "/jobs/:id", load: () => import("./pages/job.js") },
  { path: "/new", load: () => import("./pages/new.js") },
  { path: "/teachers", load: () => import("./pages/teachers.js") },
  { path: "/teachers/:id", load: () => import("./pages/teacher.js") },
  { path: "/models", load: () => import("./pages/models.js") },
  { path: "/models/:id", load: () => import("./pages/model.js") },
  { path: "/compare", load: () => import("./pages/compare.js") },
  { path: "/datasets", load: () => import("./pages/datasets.js") },
  { path: "/datasets/:id", load: () => import("./pages/dataset.js") },
  { path: "/workers", load: () => import("./pages/workers.js") },
  { path: "/usage", load: () => import("./pages/usage.js") },
  { path: "/webhooks", load: () => import("./pages/webhooks.js") },
  { path: "/webhooks/:id", load: () => import("./pages/webhook.js") },
  { path: "/keys", load: () => import("./pages/keys.js") },
  { path: "/audit", load: () => import("./pages/audit.js") },
];

/** Groups of the navigation: [title, [[words, address, least role], …]]. */
export const NAVIGATION = [
  ["Work", [["Jobs", "/jobs", "viewer"], ["New job", "/new", "submitter"]]],
  ["Shelf", [["Models", "/models", "viewer"], ["Compare", "/compare", "viewer"], ["Teachers", "/teachers", "viewer"], ["Data sets", "/datasets", "viewer"]]],
  ["Service", [["Workers", "/workers", "viewer"], ["Usage", "/usage", "viewer"], ["Webhooks", "/webhooks", "viewer"], ["Keys", "/keys", "admin"], ["Audit", "/audit", "admin"]]],
];
