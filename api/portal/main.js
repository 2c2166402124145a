/** Begins: colours, who is signed in, and either the sign-in page or the frame with the page of the address. */
import { Frame } from "./frame.js";
import { Toasts } from "./parts.js";
import { session } from "./session.js";
import { SignIn } from "./sign_in.js";
import { apply } from "./theme.js";
import { html, render, useEffect, useState } from "./vendor/preact.js";

function Portal() {
  const [, redraw] = useState(0);
  useEffect(() => session.listen(() => redraw((times) => times + 1)), []);
  if (session.state === "unknown") return null;
  return html`${session.state === "in" ? html`<${Frame} />` : html`<${SignIn} lost=${session.state === "lost"} />`}<${Toasts} />`;
}

apply();
await session.begin();
render(html`<${Portal} />`, document.getElementById("portal"));
