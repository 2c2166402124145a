/** A model's files: sizes, digests, downloads, addresses that need no key; and whether a file that came through is the right one. */
import { post } from "./api.js";
import { bytes, day, milliseconds, percent } from "./format.js";
import { Copy, Dialog, Doing, Panel, Rows } from "./parts.js";
import { session } from "./session.js";
import { html, useState } from "./vendor/preact.js";

export function Files({ model }) {
  const [signed, show] = useState(null);
  const sign = (file) => async () => show({ file, ...(await post(`${file.url}/url`, {})) });
  const rows = model.files.map((file) => ({ ...file, id: file.name }));
  return html`<div class="stack">
    <${Panel} title="Files" label=${null} flush aside=${html`<a class="button tiny" href=${`/v1/models/${model.id}/bundle`} download>All in one zip</a>`}><${Rows} label="Files" rows=${rows} columns=${[
      ["File", (file) => html`<span class="cell-main">${file.name}</span><span class="cell-sub">${file.format}</span>`],
      ["Size", (file) => html`<span title="${file.size} bytes">${bytes(file.size)}</span>`, "number"],
      ["Accuracy", (file) => percent(file.top1), "number"],
      ["Latency", (file) => milliseconds(file.latency_ms), "number"],
      ["SHA-256", (file) => html`<${Copy} text=${file.sha256}>${file.sha256.slice(0, 16)}…</${Copy}>`],
      ["", (file) => html`<div class="row end"><a class="button tiny" href=${file.url} download=${file.name} aria-label=${`Download ${file.name}`}>Download</a>${session.reaches("submitter") && html`<${Doing} kind="tiny plain" does=${sign(file)}>Link</${Doing}>`}</div>`],
    ]} />
    <p class="panel-note">Each file was loaded back and run on the val split before it was published: accuracy and latency are its own, on the CPU, one image at a time.</p></${Panel}>
    <${Judge} files=${model.files} />
    ${signed && html`<${Link} signed=${signed} close=${() => show(null)} />`}
  </div>`;
}

const Link = ({ signed, close }) => html`<${Dialog} title=${`A link to ${signed.file.name}`} close=${close}>
  <div class="stack"><p>Whoever has it can download the file without a key, until ${day(signed.expires_at)}.</p><pre class="code once" tabindex="0">${signed.url}</pre></div>
  <div class="actions"><${Copy} text=${signed.url}>Copy the link</${Copy}><button class="button" onClick=${close}>Close</button></div>
</${Dialog}>`;

/** Holds a file of the visitor's machine against the digests. The file stays there: the browser counts. */
function Judge({ files }) {
  const [verdict, set] = useState(null);
  if (!globalThis.crypto?.subtle) return html`<${Command} files=${files} />`;
  const judge = async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    set({ words: `Reading ${file.name} …`, tone: "" });
    const content = await file.arrayBuffer().catch(() => null);
    if (!content) return set({ tone: "bad", words: `${file.name} could not be read: is it still being written?` });
    const digest = hex(await crypto.subtle.digest("SHA-256", content));
    const match = files.find((one) => one.sha256 === digest);
    set(match ? { tone: "good", words: `${file.name} is ${match.name}, to the last bit.`, digest } : { tone: "bad", words: `${file.name} is none of these files: download it again.`, digest });
  };
  return html`<${Panel} title="Is my file the right one?">
    <div class="stack"><div class="field"><label for="judged">A file that you downloaded</label><input id="judged" class="input" type="file" onClick=${again} onChange=${judge} /><span class="hint">It is not sent anywhere: your browser computes its SHA-256.</span></div>
    <div role="status">${verdict && html`<div class="notice ${verdict.tone}"><div><strong>${verdict.words}</strong>${verdict.digest && html`<p class="mono small">${verdict.digest}</p>`}</div></div>`}</div></div>
  </${Panel}>`;
}

/** So that the same name picked once more, of a file that came anew, counts as a change. */
const again = (event) => {
  event.target.value = "";
};

const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** For pages without https, where browsers compute no digests. */
const Command = ({ files }) => html`<${Panel} title="Is my file the right one?"><p>Put this into a file beside your downloads and let <code>sha256sum --check</code> read it:</p>
  <pre class="code" tabindex="0">${files.map((file) => `${file.sha256}  ${file.name}`).join("\n")}</pre></${Panel}>`;
