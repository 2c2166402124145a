/** The sign-in page: with an API key, or through the organization's identity provider. */
import { sendRequest } from "../lib/api.js";
import { session } from "../lib/session.js";
import { ErrorNotice } from "../ui/components.js";
import { html, useEffect, useState } from "../vendor/preact.js";

const LOGIN_ERRORS = {
  role_too_low:
    "Your organization signed you in, but you have no role in this service. "
    + "Ask an operator of this service for access.",
  login_denied:
    "Your organization denied the sign-in. "
    + "Try again with another account, or contact your organization.",
  token_invalid:
    "The sign-in from your organization is not valid for this service, or has expired. "
    + "Sign in again. If the error persists, contact an operator of this service.",
  login_invalid: "The sign-in took too long or was started in another window. Sign in again.",
  issuer_unavailable:
    "Your organization's sign-in service is not responding. Try again later, or use an API key.",
};

/**
 * Return why the identity provider's redirect failed, or a falsy value. The error code is
 * removed from the URL, so that the message appears only once.
 */
function takeLoginError() {
  const code = new URLSearchParams(location.search).get("refused");
  if (code) history.replaceState(null, "", location.pathname + location.hash);
  return code && (LOGIN_ERRORS[code] ?? `Sign-in with your organization failed (${code}).`);
}

export function SignInPage({ expired }) {
  const [key, setKey] = useState("");
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const [loginError] = useState(takeLoginError);
  useEffect(() => {
    document.title = "Sign in · Distillation";
  }, []);
  const signIn = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const headers = { Authorization: `Bearer ${key.trim()}` };
      session.signIn(await sendRequest("POST", "/v1/session", { headers }));
    } catch (requestError) {
      setError(requestError);
      setBusy(false);
    }
  };
  return html`<main class="sign-in"><div class="card">
    <img src="/portal/icon.svg" alt="" />
    <h1>Sign in</h1>
    <p class="muted">Knowledge distillation as a service</p>
    ${expired && html`<p class="notice warn" role="alert">
      Your session has expired. Sign in again to continue where you left off.
    </p>`}
    ${loginError && html`<p class="notice bad" role="alert">${loginError}</p>`}
    ${session.oidc && html`
      <p>
        <a class="button primary" href="/login/oidc">Sign in with your organization</a>
      </p>
      <p class="or">or with an API key</p>`}
    <form onSubmit=${signIn}>
      <div class="field">
        <label for="key">API key</label>
        <input class="input mono" id="key" type="password" autocomplete="current-password" required
          placeholder="dlkd_…" value=${key} aria-describedby="key-hint"
          aria-invalid=${String(Boolean(error))} onInput=${(event) => setKey(event.target.value)} />
        <p class="hint" id="key-hint">
          If you started the service with <code>dlkd up</code>, the key is printed in the terminal
          and stored in <code>data/api_key</code>. Otherwise, ask an administrator for a key.
        </p>
      </div>
      <${ErrorNotice} error=${error} />
      <button class="button primary" disabled=${busy}>${busy ? "Signing in…" : "Sign in"}</button>
    </form>
  </div></main>`;
}
