/** Making, rotating and revoking keys. */
import { post } from "./api.js";
import { Copy, Dialog, Refusal, toast } from "./parts.js";
import { Field, Once, Picks, Question } from "./question.js";
import { useWords } from "./schema_words.js";
import { html, useState } from "./vendor/preact.js";

const DAYS = [["", "Never"], ["7", "In a week"], ["30", "In 30 days"], ["90", "In 90 days"], ["365", "In a year"]];
const GRACES = [["0", "At once"], ["3600", "After an hour"], ["86400", "After a day"], ["604800", "After a week"]];
const DAY = 86_400_000; // milliseconds

export function NewKey({ close }) {
  const { words, problem } = useWords();
  const [made, show] = useState(null);
  const [form, set] = useState({ name: "", role: "submitter", owner: "", days: "90", scopes: [] });
  const field = (name) => ({ value: form[name], set: (value) => set((old) => ({ ...old, [name]: value })) });
  const does = async () => {
    const { days, owner, ...rest } = form;
    const expires_at = days ? new Date(Date.now() + Number(days) * DAY).toISOString() : null;
    show(await post("/v1/keys", { ...rest, owner: owner.trim() || null, expires_at }));
    return true;
  };
  if (made) return html`<${Shown} title="The new key" made=${made} close=${close} />`;
  return html`<${Question} title="New key" words="Make the key" does=${does} close=${close} disabled=${!form.name.trim()}>
    <${Refusal} problem=${problem} />
    <${Field} id="key-name" words="Name" hint="Who or what uses it, as: build server" required ...${field("name")} />
    <${Field} id="key-role" words="Role" options=${(words?.roles ?? [form.role]).map((role) => [role, role])} ...${field("role")} />
    <${Field} id="key-owner" words="Owner" hint="Keys of one owner share their rows. Left out: the key is an owner of its own." placeholder="team-vision" ...${field("owner")} />
    <${Field} id="key-days" words="It expires" options=${DAYS} ...${field("days")} />
    ${words && html`<${Picks} words="Scopes" options=${words.scopes} hint="None: all that the role may." ...${field("scopes")} />`}
  </${Question}>`;
}

const Shown = ({ title, made, close }) => html`<${Dialog} title=${title} close=${close}>
  <${Once} words=${`The key of ${made.name}`} secret=${made.key} />
  <div class="actions"><${Copy} text=${made.key}>Copy</${Copy}><button class="button primary" onClick=${close}>I have it</button></div>
</${Dialog}>`;

export function Rotate({ of: key, close }) {
  const [grace, setGrace] = useState("86400");
  const [made, show] = useState(null);
  const does = async () => {
    show(await post(`/v1/keys/${key.id}/rotate`, { grace_seconds: Number(grace) }));
    return true;
  };
  if (made) return html`<${Shown} title="The new secret" made=${made} close=${close} />`;
  return html`<${Question} title=${`Rotate ${key.name}?`} text="It gets another secret. Its name, role, owner and scopes stay." words="Rotate" does=${does} close=${close}>
    <${Field} id="grace" words="The secret of now ends" options=${GRACES} value=${grace} set=${setGrace} />
  </${Question}>`;
}

export function Revoke({ of: key, close }) {
  const does = async () => {
    await post(`/v1/keys/${key.id}/revoke`);
    toast(`${key.name} is revoked`);
  };
  return html`<${Question} title=${`Revoke ${key.name}?`} text="It ends at once and for good: whoever uses it is refused from the next request on. Its jobs and models stay." words="Revoke" kind="danger" does=${does} close=${close} />`;
}
