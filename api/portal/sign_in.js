/** Signing in with a key, or by the organisation's issuer where there is one. */
import { call } from "./api.js";
import { Refusal } from "./parts.js";
import { session } from "./session.js";
import { html, useEffect, useState } from "./vendor/preact.js";

const REFUSED = {
  role_too_low: "Your organisation knows you, but gives you no role here. Ask an operator of this service.",
  login_denied: "Your organisation did not sign you in. Begin again, with another account perhaps, or ask your organisation.",
  token_invalid: "What your organisation's sign-in said of you is not meant for this service, or no longer good. Begin again; if it stays so, ask an operator of this service.",
  login_invalid: "Signing in took too long, or began in another window. Begin again.",
  issuer_unavailable: "Your organisation's sign-in does not answer. Try again in a while, or use a key.",
};

/** Why the issuer's way led back here; empty where it did not. It is said once: the address forgets it. */
function refusal() {
  const code = new URLSearchParams(location.search).get("refused");
  if (code) history.replaceState(null, "", location.pathname + location.hash);
  return code && (REFUSED[code] ?? `Your organisation's sign-in was refused (${code}).`);
}

export function SignIn({ lost }) {
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const [refused] = useState(refusal);
  useEffect(() => {
    document.title = "Sign in · Distillation";
  }, []);
  const enter = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      session.enter(await call("POST", "/v1/session", { headers: { Authorization: `Bearer ${key.trim()}` } }));
    } catch (found) {
      setProblem(found);
      setBusy(false);
    }
  };
  return html`<main class="sign-in"><div class="card">
    <img src="/portal/icon.svg" alt="" />
    <h1>Sign in</h1>
    <p class="quiet">Knowledge distillation as a service</p>
    ${lost && html`<p class="notice warn" role="alert">Your session has ended. Sign in again; what you had open is still there.</p>`}
    ${refused && html`<p class="notice bad" role="alert">${refused}</p>`}
    ${session.oidc && html`<p class="issuer"><a class="button primary" href="/login/oidc">Sign in with your organisation</a></p><p class="or">or with a key</p>`}
    <form onSubmit=${enter}>
      <div class="field">
        <label for="key">Key</label>
        <input class="input mono" id="key" type="password" autocomplete="current-password" required placeholder="dlkd_…" value=${key}
          aria-describedby="key-hint" aria-invalid=${String(Boolean(problem))} onInput=${(event) => setKey(event.target.value)} />
        <p class="hint" id="key-hint">Where the service was started with <code>dlkd up</code>, the key stands in the terminal and in <code>data/api_key</code>. Elsewhere an admin makes one.</p>
      </div>
      <${Refusal} problem=${problem} />
      <button class="button primary" disabled=${busy}>${busy ? "Signing in …" : "Sign in"}</button>
    </form>
  </div></main>`;
}
