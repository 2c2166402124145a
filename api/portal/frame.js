/** The frame around every page: navigation, who is signed in, and the page of the address. */
import { remove } from "./api.js";
import { NAVIGATION, PAGES } from "./pages.js";
import { Doing, Empty, Refusal } from "./parts.js";
import { match, useAddress } from "./router.js";
import { session } from "./session.js";
import { theme, toggle } from "./theme.js";
import { html, useEffect, useState } from "./vendor/preact.js";

export function Frame() {
  const { path, query } = useAddress();
  return html`<div class="frame"><a class="skip" href="#main" onClick=${skip}>Skip to the page</a><${Side} path=${path} /><main class="page" id="main" tabindex="-1"><${Place} path=${path} query=${query} /></main></div>`;
}

function skip(event) {
  event.preventDefault(); // the hash is the address
  document.getElementById("main").focus();
}

/** The page that fits the path; its module is loaded when it is first needed. */
function Place({ path, query }) {
  const [shown, show] = useState(null);
  useEffect(() => {
    const page = PAGES.find((one) => match(one.path, path));
    if (!page) return show({ path, missing: true });
    let gone = false;
    page.load().then(
      (module) => gone || show({ path, Page: module.Page, parameters: match(page.path, path) }),
      (error) => gone || show({ path, problem: { message: "This page could not be loaded.", hint: "Reload; the service may have been updated.", code: error.name } }),
    );
    return () => {
      gone = true;
    };
  }, [path]);
  if (!shown) return null;
  if (shown.missing) return html`<${Empty} title="There is no such page" action=${html`<a class="button" href="#/jobs">To the jobs</a>`}>The address ${path} leads nowhere here.</${Empty}>`;
  if (shown.problem) return html`<${Refusal} problem=${shown.problem} />`;
  return html`<${shown.Page} key=${shown.path} ...${shown.parameters} query=${query} />`;
}

function Side({ path }) {
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [path]);
  return html`<header class="side ${open ? "open" : ""}">
    <div class="top">
      <a class="brand" href="#/jobs"><img src="/portal/icon.svg" alt="" />Distillation</a>
      <button class="button tiny menu-button" aria-expanded=${String(open)} aria-controls="menu" onClick=${() => setOpen(!open)}>Menu</button>
    </div>
    <div class="rest" id="menu">
      <nav aria-label="Main">${NAVIGATION.map(([title, entries]) => html`<${Group} title=${title} entries=${entries} path=${path} />`)}</nav>
      <div class="foot"><${Who} /><div class="links"><a href="/docs">REST API</a><span class="quiet">${session.version}</span></div></div>
    </div>
  </header>`;
}

function Group({ title, entries, path }) {
  const mine = entries.filter(([, , role]) => session.reaches(role));
  if (!mine.length) return null;
  return html`<h2>${title}</h2><ul>${mine.map(([words, address]) => html`<li><a href=${`#${address}`} aria-current=${current(address, path) ? "page" : undefined}>${words}</a></li>`)}</ul>`;
}

/** An entry is the current one on its own page and on those below it, unless another entry is nearer. */
function current(address, path) {
  const all = NAVIGATION.flatMap(([, entries]) => entries.map(([, one]) => one));
  const nearest = all.filter((one) => path === one || path.startsWith(`${one}/`)).sort((a, b) => b.length - a.length)[0];
  return address === nearest;
}

function Who() {
  const [shade, setShade] = useState(theme());
  const leave = async () => {
    await remove("/v1/session");
    session.leave();
  };
  const turn = () => {
    toggle();
    setShade(theme());
  };
  return html`<section class="who" aria-label="You">
    <strong title=${session.me.name}>${session.me.name}</strong><span class="small quiet">${session.me.role}</span>
    <div class="row">
      <button class="button tiny" onClick=${turn}>${shade === "dark" ? "Light" : "Dark"}</button>
      <${Doing} kind="tiny" does=${leave}>Sign out</${Doing}>
    </div>
  </section>`;
}
