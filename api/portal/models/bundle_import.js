/** Import of a model that was created elsewhere, as a bundle. */
import { post } from "../lib/api.js";
import { formatBytes } from "../lib/format.js";
import { uploadFile } from "../lib/resumable_upload.js";
import { navigate } from "../lib/router.js";
import { ActionButton, ErrorNotice } from "../ui/components.js";
import { Dialog } from "../ui/dialogs.js";
import { DropZone, UploadProgress } from "../ui/file_upload.js";
import { errorFinder, FormField } from "../ui/form_fields.js";
import { toast } from "../ui/toast.js";
import { html, useEffect, useRef, useState } from "../vendor/preact.js";

const CHECKING_TEXT = "Checking every file against the manifest…";
const BUNDLE_LABEL =
  "Choose a bundle: a zip file downloaded from a model page, or a student.zip that a run exported";

/** Opens the model's page on success. After an error, the form and the upload are kept. */
export function ImportBundleDialog({ onClose }) {
  const [form, setForm] = useState({ name: "", notes: "" });
  const [file, setFile] = useState(null);
  const [error, setError] = useState(null);
  const { progress, importBundle, stop } = useBundleImport();
  const errorFor = errorFinder(error?.fieldErrors);
  const fieldProps = (name) => ({
    value: form[name],
    onChange: (value) => setForm((old) => ({ ...old, [name]: value })),
    error: errorFor(`/${name}`),
    disabled: progress !== null,
  });
  const submit = async () => {
    setError(null);
    const name = form.name.trim() || null;
    const model = await importBundle(file, { name, notes: form.notes });
    toast(`Imported ${model.name} ${model.version}`, "Every file matches the manifest.");
    navigate(`/models/${model.id}`);
  };
  const fail = (importError) => {
    if (importError.name === "AbortError") toast("Upload canceled");
    else setError(importError);
  };
  const hasFieldError = Object.keys(form).some((name) => errorFor(`/${name}`));
  return html`<${Dialog} title="Import bundle" onClose=${onClose}>
    <form class="stack" onSubmit=${(event) => event.preventDefault()} novalidate>
      ${progress
        ? html`<${UploadProgress} progress=${progress} onStop=${stop}
            checkingText=${CHECKING_TEXT} />`
        : html`<${BundlePicker} file=${file} onSelect=${setFile} />`}
      ${!hasFieldError && html`<${ErrorNotice} error=${error} />`}
      <${FormField} id="import-name" label="Name"
        hint="Default: the name in the bundle. The model becomes the next version of that name."
        ...${fieldProps("name")} />
      <${FormField} id="import-notes" label="Notes" long ...${fieldProps("notes")} />
      <div class="actions">
        <button type="button" class="button" onClick=${onClose}>Cancel</button>
        <${ActionButton} kind="primary" onClick=${submit} onError=${fail} disabled=${!file}>
          Import
        </${ActionButton}>
      </div>
    </form>
  </${Dialog}>`;
}

const BundlePicker = ({ file, onSelect }) => html`<div class="stack">
  ${file && html`<p class="selected">
    <strong>${file.name}</strong><span class="muted">${formatBytes(file.size)}</span>
  </p>`}
  <${DropZone} accept=".zip" label=${file ? "Choose another bundle" : BUNDLE_LABEL}
    onFile=${(picked) => picked && onSelect(picked)} />
</div>`;

/**
 * Return {progress, importBundle, stop}. `importBundle(file, fields)` uploads and imports a bundle,
 * and `progress` is what UploadProgress displays.
 */
function useBundleImport() {
  const [progress, setProgress] = useState(null);
  const uploaded = useRef({}); // {file, id} of the last upload, reused when the user retries
  const controller = useRef(null);
  const stop = () => controller.current?.abort();
  useEffect(() => stop, []); // closing the dialog cancels the upload
  const importBundle = async (file, fields) => {
    controller.current = new AbortController();
    const { signal } = controller.current;
    try {
      setProgress({ file, fraction: 0 });
      if (uploaded.current.file !== file) {
        const onProgress = (fraction) => setProgress({ file, fraction });
        uploaded.current = { file, id: await uploadFile(file, onProgress, signal) };
      }
      setProgress({ file, fraction: 1, checking: true });
      const body = { upload_id: uploaded.current.id, ...fields };
      return await post("/v1/models/import", body, { signal });
    } catch (error) {
      if (error.code?.startsWith?.("upload_")) uploaded.current = {}; // the upload no longer exists
      throw error;
    } finally {
      setProgress(null);
    }
  };
  return { progress, importBundle, stop };
}
