/** A model's files: sizes, digests, downloads, signed links, and verification of a download. */
import { post } from "../lib/api.js";
import { formatBytes, formatDateTime, formatMilliseconds, formatPercent } from "../lib/format.js";
import { Role, session } from "../lib/session.js";
import { ActionButton, ACTIONS_HEADING, CopyButton, DataTable, Panel } from "../ui/components.js";
import { Dialog } from "../ui/dialogs.js";
import { html, useState } from "../vendor/preact.js";

const DIGEST_PREFIX_LENGTH = 16;

export function ModelFiles({ model }) {
  const [signedLink, setSignedLink] = useState(null); // {file, url, expires_at}
  const createLink = (file) => async () =>
    setSignedLink({ file, ...(await post(`${file.url}/url`, {})) });
  const rows = model.files.map((file) => ({ ...file, id: file.name }));
  const downloadAll = html`<a class="button tiny" href=${`/v1/models/${model.id}/bundle`} download>
    Download all as zip
  </a>`;
  const renderActions = (file) => html`<div class="row end">
    <a class="button tiny" href=${file.url} download=${file.name}
      aria-label=${`Download ${file.name}`}>Download</a>
    ${session.hasRole(Role.SUBMITTER) && html`<${ActionButton} kind="tiny plain"
      onClick=${createLink(file)}>Get link</${ActionButton}>`}
  </div>`;
  return html`<div class="stack">
    <${Panel} title="Files" label=${null} flush headerActions=${downloadAll}>
      <${DataTable} label="Files" rows=${rows} columns=${[
        ["File", (file) => html`<span class="cell-main">${file.name}</span>
          <span class="cell-sub">${file.format}</span>`],
        [
          "Size",
          (file) => html`<span title="${file.size} bytes">${formatBytes(file.size)}</span>`,
          "number",
        ],
        ["Accuracy", (file) => formatPercent(file.top1), "number"],
        ["Latency", (file) => formatMilliseconds(file.latency_ms), "number"],
        ["SHA-256", (file) => html`<${CopyButton} text=${file.sha256}>
          ${file.sha256.slice(0, DIGEST_PREFIX_LENGTH)}…
        </${CopyButton}>`],
        [ACTIONS_HEADING, renderActions],
      ]} />
      <p class="panel-note">
        Each file was loaded back and evaluated on the val split before it was published. Accuracy
        and latency are measured on the file itself, on the CPU, one image at a time.
      </p>
    </${Panel}>
    <${ChecksumCheck} files=${model.files} />
    ${signedLink && html`<${SignedLinkDialog} signedLink=${signedLink}
      onClose=${() => setSignedLink(null)} />`}
  </div>`;
}

const SignedLinkDialog = ({ signedLink: { file, url, expires_at: expiresAt }, onClose }) => html`
  <${Dialog} title=${`Link to ${file.name}`} onClose=${onClose}>
    <div class="stack">
      <p>
        Anyone with this link can download the file without an API key
        until ${formatDateTime(expiresAt)}.
      </p>
      <pre class="code secret" tabindex="0">${url}</pre>
    </div>
    <div class="actions">
      <${CopyButton} text=${url}>Copy link</${CopyButton}>
      <button class="button" onClick=${onClose}>Close</button>
    </div>
  </${Dialog}>`;

/** Compares a downloaded file with the model's files by digest, which the browser computes. */
function ChecksumCheck({ files }) {
  const [result, setResult] = useState(null); // {tone, text, digest}
  if (!globalThis.crypto?.subtle) return html`<${ChecksumCommand} files=${files} />`;
  const check = async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    setResult({ tone: "", text: `Reading ${file.name}…` });
    const content = await file.arrayBuffer().catch(() => null);
    if (!content) {
      const text = `${file.name} could not be read. The download may be incomplete.`;
      return setResult({ tone: "bad", text });
    }
    const digest = toHex(await crypto.subtle.digest("SHA-256", content));
    const match = files.find((other) => other.sha256 === digest);
    const text = match
      ? `${file.name} is an exact copy of ${match.name}.`
      : `${file.name} matches none of these files. Download it again.`;
    setResult({ tone: match ? "good" : "bad", text, digest });
  };
  return html`<${Panel} title="Verify a download"><div class="stack">
    <div class="field">
      <label for="downloaded-file">Downloaded file</label>
      <input id="downloaded-file" class="input" type="file" onClick=${clearSelectedFile}
        onChange=${check} />
      <span class="hint">
        The file stays on your computer. Your browser computes its SHA-256 digest.
      </span>
    </div>
    <div role="status">${result && html`<div class="notice ${result.tone}"><div>
      <strong>${result.text}</strong>
      ${result.digest && html`<p class="mono small">${result.digest}</p>`}
    </div></div>`}</div>
  </div></${Panel}>`;
}

/** Let the user pick the same file again after a new download. */
function clearSelectedFile(event) {
  event.target.value = "";
}

function toHex(buffer) {
  const bytes = Array.from(new Uint8Array(buffer));
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** For pages without HTTPS, where browsers do not compute digests. */
function ChecksumCommand({ files }) {
  const lines = files.map((file) => `${file.sha256}  ${file.name}`);
  return html`<${Panel} title="Verify a download">
    <p>
      Save these lines to a file next to your downloads, and pass it
      to <code>sha256sum --check</code>:
    </p>
    <pre class="code" tabindex="0">${lines.join("\n")}</pre>
  </${Panel}>`;
}
