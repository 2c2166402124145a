/** Making and ending a webhook. */
import { post, remove } from "./api.js";
import { Copy, Dialog, Refusal } from "./parts.js";
import { Field, Once, Picks, Question } from "./question.js";
import { go } from "./router.js";
import { useWords } from "./schema_words.js";
import { html, useState } from "./vendor/preact.js";

export function NewWebhook({ close }) {
  const { words, problem } = useWords();
  const [made, show] = useState(null);
  const [url, setUrl] = useState("");
  const [events, setEvents] = useState(["job.succeeded", "job.failed"]);
  const does = async () => {
    show(await post("/v1/webhooks", { url: url.trim(), events }));
    return true;
  };
  if (made) {
    return html`<${Dialog} title="The new webhook" close=${close}>
      <${Once} words="The secret that signs what is sent" secret=${made.secret} />
      <div class="actions"><${Copy} text=${made.secret}>Copy</${Copy}><button class="button primary" onClick=${close}>I have it</button></div>
    </${Dialog}>`;
  }
  return html`<${Question} title="New webhook" words="Make the webhook" does=${does} close=${close} disabled=${!url.trim() || !events.length}>
    <${Refusal} problem=${problem} />
    <${Field} id="hook-url" words="Address" type="url" placeholder="https://example.com/hooks/dlkd" hint="It must be reachable from the service." value=${url} set=${setUrl} />
    ${words && html`<${Picks} words="Events" options=${words.events} value=${events} set=${setEvents} hint="One at least." />`}
  </${Question}>`;
}

export function DeleteWebhook({ hook, close }) {
  const does = async () => {
    await remove(`/v1/webhooks/${hook.id}`);
    go("/webhooks");
  };
  return html`<${Question} title="Delete this webhook?" text="Its deliveries go with it, and what was not sent yet is not sent." words="Delete" kind="danger" does=${does} close=${close} />`;
}
