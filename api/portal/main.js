/** Entry point: applies the theme, loads the session, and renders the app. */
import { Layout } from "./app/layout.js";
import { SignInPage } from "./app/sign_in.js";
import { useRerenderOn } from "./lib/hooks.js";
import { session, SessionState } from "./lib/session.js";
import { applyTheme } from "./lib/theme.js";
import { ToastContainer } from "./ui/toast.js";
import { html, render } from "./vendor/preact.js";

function App() {
  useRerenderOn(session.subscribe);
  if (session.state === SessionState.UNKNOWN) return null;
  const content = session.state === SessionState.SIGNED_IN
    ? html`<${Layout} />`
    : html`<${SignInPage} expired=${session.state === SessionState.EXPIRED} />`;
  return html`${content}<${ToastContainer} />`;
}

applyTheme();
await session.load();
render(html`<${App} />`, document.getElementById("portal"));
