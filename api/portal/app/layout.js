/** The layout around every page: sidebar with navigation and account, and the current page. */
import { remove } from "../lib/api.js";
import { matchPath, useLocation } from "../lib/router.js";
import { session } from "../lib/session.js";
import { currentTheme, toggleTheme } from "../lib/theme.js";
import { ActionButton, EmptyState, ErrorNotice } from "../ui/components.js";
import { html, useEffect, useState } from "../vendor/preact.js";
import { NAVIGATION, ROUTES } from "./navigation.js";

const LOAD_ERROR = {
  message: "This page could not be loaded.",
  hint: "Reload the page. The service may have been updated.",
};

export function Layout() {
  const { path, query } = useLocation();
  return html`<div class="layout">
    <a class="skip" href="#main" onClick=${skipToContent}>Skip to content</a>
    <${Sidebar} path=${path} />
    <main class="page" id="main" tabindex="-1"><${PageOutlet} path=${path} query=${query} /></main>
  </div>`;
}

function skipToContent(event) {
  event.preventDefault(); // the hash holds the route
  document.getElementById("main").focus();
}

/** Renders the page that matches the path. Its module is loaded on first use. */
function PageOutlet({ path, query }) {
  const [current, setCurrent] = useState(null); // {path}, and {Page, parameters}, error or notFound
  useEffect(() => {
    const route = ROUTES.find((candidate) => matchPath(candidate.path, path));
    if (!route) return setCurrent({ path, notFound: true });
    let cancelled = false;
    const update = (result) => cancelled || setCurrent({ path, ...result });
    route.load().then(
      (module) => update({ Page: module.Page, parameters: matchPath(route.path, path) }),
      (error) => update({ error: { ...LOAD_ERROR, code: error.name } }),
    );
    return () => {
      cancelled = true;
    };
  }, [path]);
  if (!current) return null;
  if (current.error) return html`<${ErrorNotice} error=${current.error} />`;
  if (current.notFound) {
    const link = html`<a class="button" href="#/jobs">Go to jobs</a>`;
    return html`<${EmptyState} title="Page not found" action=${link}>
      There is no page at ${path}.
    </${EmptyState}>`;
  }
  return html`<${current.Page} key=${current.path} ...${current.parameters} query=${query} />`;
}

function Sidebar({ path }) {
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [path]);
  const groups = NAVIGATION.map(
    ([title, entries]) =>
      html`<${NavigationGroup} title=${title} entries=${entries} path=${path} />`,
  );
  return html`<header class="sidebar ${open ? "open" : ""}">
    <div class="top">
      <a class="brand" href="#/jobs"><img src="/portal/icon.svg" alt="" />Distillation</a>
      <button class="button tiny menu-button" aria-expanded=${String(open)} aria-controls="menu"
        onClick=${() => setOpen(!open)}>Menu</button>
    </div>
    <div class="sidebar-body" id="menu">
      <nav aria-label="Main">${groups}</nav>
      <div class="sidebar-footer">
        <${AccountPanel} />
        <div class="links">
          <a href="/docs">REST API</a><span class="muted">${session.version}</span>
        </div>
      </div>
    </div>
  </header>`;
}

function NavigationGroup({ title, entries, path }) {
  const allowed = entries.filter(([, , role]) => session.hasRole(role));
  if (!allowed.length) return null;
  const links = allowed.map(([label, entryPath]) => {
    const current = isCurrent(entryPath, path) ? "page" : undefined;
    return html`<li><a href=${`#${entryPath}`} aria-current=${current}>${label}</a></li>`;
  });
  return html`<h2>${title}</h2><ul>${links}</ul>`;
}

/** Return whether no other entry matches the path better. An entry matches the pages below it. */
function isCurrent(entryPath, path) {
  const allPaths = NAVIGATION.flatMap(([, entries]) => entries.map((entry) => entry[1]));
  const matches = allPaths.filter((other) => path === other || path.startsWith(`${other}/`));
  const mostSpecific = matches.sort((a, b) => b.length - a.length)[0];
  return entryPath === mostSpecific;
}

function AccountPanel() {
  const [theme, setTheme] = useState(currentTheme());
  const signOut = async () => {
    await remove("/v1/session");
    session.signOut();
  };
  const switchTheme = () => {
    toggleTheme();
    setTheme(currentTheme());
  };
  return html`<section class="account" aria-label="Account">
    <strong title=${session.me.name}>${session.me.name}</strong>
    <span class="small muted">${session.me.role}</span>
    <div class="row">
      <button class="button tiny" onClick=${switchTheme}>
        ${theme === "dark" ? "Light" : "Dark"}
      </button>
      <${ActionButton} kind="tiny" onClick=${signOut}>Sign out</${ActionButton}>
    </div>
  </section>`;
}
