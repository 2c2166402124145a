/** File uploads by drag and drop or file picker, with progress and the wait for the check. */
import { get } from "../lib/api.js";
import { formatBytes, formatPercent } from "../lib/format.js";
import { uploadAndCreate } from "../lib/resumable_upload.js";
import { html, useRef, useState } from "../vendor/preact.js";
import { ErrorNotice, ProgressBar } from "./components.js";
import { toast } from "./toast.js";

/** Statuses of an uploaded teacher or dataset. */
export const UploadStatus = Object.freeze({
  VALIDATING: "validating",
  READY: "ready",
  INVALID: "invalid",
});

const POLL_MS = 700;

/** What each collection takes: file extensions, and the label of the drop zone. */
const COLLECTIONS = {
  teachers: {
    accept: ".pth,.pt,.th,.safetensors,.onnx,.bin,.ckpt,.zip",
    label: "Upload a checkpoint: a state dict (.pt, .pth), safetensors or ONNX",
  },
  datasets: {
    accept: ".zip,.tar,.tgz,.gz",
    label: "Upload images: a zip or tar archive with train/<class>/… and val/<class>/…",
  },
};

/**
 * Uploads a file to `collection` (teachers or datasets) and waits for the check. `onUploaded` is
 * called with the checked resource, which may be invalid.
 */
export function FileUpload({ collection, onUploaded, fields = {} }) {
  const [progress, setProgress] = useState(null); // {file, fraction, checking}
  const [error, setError] = useState(null);
  const controller = useRef(null);
  const upload = async (file) => {
    if (!file) return;
    setError(null);
    controller.current = new AbortController();
    const { signal } = controller.current;
    try {
      setProgress({ file, fraction: 0 });
      const onProgress = (fraction) => setProgress({ file, fraction });
      const created = await uploadAndCreate(collection, file, fields, onProgress, signal);
      setProgress({ file, fraction: 1, checking: true });
      onUploaded(await waitForCheck(collection, created));
    } catch (uploadError) {
      if (uploadError.name === "AbortError") toast("Upload canceled");
      else setError(uploadError);
    } finally {
      setProgress(null);
    }
  };
  if (progress) {
    const stop = () => controller.current?.abort();
    return html`<${UploadProgress} progress=${progress} onStop=${stop} />`;
  }
  return html`<div class="stack">
    <${DropZone} ...${COLLECTIONS[collection]} onFile=${upload} />
    <${ErrorNotice} error=${error} />
  </div>`;
}

/** A zone to drop a file on, or to click for the file picker. `onFile` is called with the file. */
export function DropZone({ accept, label, onFile }) {
  const [hovered, setHovered] = useState(false);
  const drop = (event) => {
    event.preventDefault();
    setHovered(false);
    onFile(event.dataTransfer.files[0]);
  };
  const dragOver = (event) => {
    event.preventDefault();
    setHovered(true);
  };
  const pick = ({ target }) => {
    const [file] = target.files;
    target.value = ""; // allows picking the same file again
    onFile(file);
  };
  return html`<label class="drop ${hovered ? "over" : ""}" onDragOver=${dragOver}
    onDragLeave=${() => setHovered(false)} onDrop=${drop}>
    <input type="file" class="visually-hidden" accept=${accept} aria-label=${label}
      onChange=${pick} />
    <strong>${label}</strong>
    <span class="muted small">Drop a file here, or click to choose one</span>
  </label>`;
}

/** The progress of an upload: `progress` is {file, fraction, checking}. */
export function UploadProgress(
  { progress, onStop, checkingText = "A worker is checking the file…" },
) {
  const { file, fraction, checking } = progress;
  const sent = `${formatPercent(fraction, 0)} of ${formatBytes(file.size)}`;
  return html`<div class="drop busy" role="status">
    <strong>${file.name}</strong>
    <${ProgressBar} fraction=${fraction} label=${`Upload of ${file.name}`} />
    <span class="row">
      <span class="muted small">${checking ? checkingText : sent}</span>
      ${!checking && html`<button type="button" class="button tiny" onClick=${onStop}>
        Cancel upload
      </button>`}
    </span>
  </div>`;
}

async function waitForCheck(collection, created) {
  let resource = created;
  while (resource.status === UploadStatus.VALIDATING) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    resource = await get(`/v1/${collection}/${created.id}`);
  }
  return resource;
}
