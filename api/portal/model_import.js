/** A model that was made elsewhere, brought in its bundle. */
import { post } from "./api.js";
import { Place, Sending } from "./drop.js";
import { bytes } from "./format.js";
import { Dialog, Doing, Refusal, toast } from "./parts.js";
import { Field } from "./question.js";
import { go } from "./router.js";
import { sent } from "./uploads.js";
import { html, useEffect, useRef, useState } from "./vendor/preact.js";

const CHECKS = "Every file is held against the manifest …";

/** A dialog that ends on the model's page. What is refused stays as it was filled in, and what was sent is not sent again. */
export function ImportModel({ close }) {
  const [form, set] = useState({ name: "", notes: "" });
  const [file, pick] = useState(null);
  const [problem, fail] = useState(null);
  const { state, bring, stop } = useBundle();
  const field = (name) => ({ value: form[name], set: (value) => set((old) => ({ ...old, [name]: value })), wrong: wrongIn(problem, name), disabled: state !== null });
  const does = async () => {
    fail(null);
    const model = await bring(file, { name: form.name.trim() || null, notes: form.notes });
    toast(`${model.name} ${model.version} is here`, "Every file is as its manifest says.");
    go(`/models/${model.id}`);
  };
  const refused = (found) => (found.name === "AbortError" ? toast("The upload was stopped") : fail(found));
  const ofFields = Object.keys(form).some((name) => wrongIn(problem, name));
  return html`<${Dialog} title="Import a bundle" close=${close}>
    <form class="stack" onSubmit=${(event) => event.preventDefault()} novalidate>
      ${state ? html`<${Sending} state=${state} stop=${stop} checking=${CHECKS} />` : html`<${Chosen} file=${file} pick=${pick} />`}
      ${!ofFields && html`<${Refusal} problem=${problem} />`}
      <${Field} id="import-name" words="Name" hint="Left out: as in the bundle. It becomes the next version under it." ...${field("name")} />
      <${Field} id="import-notes" words="Notes" long ...${field("notes")} />
      <div class="actions">
        <button type="button" class="button" onClick=${close}>Leave it</button>
        <${Doing} kind="primary" does=${does} fail=${refused} disabled=${!file}>Import</${Doing}>
      </div>
    </form>
  </${Dialog}>`;
}

const wrongIn = (problem, name) => problem?.fields.find((one) => one.pointer === `/${name}`)?.message ?? "";

const Chosen = ({ file, pick }) => html`<div class="stack">
  ${file && html`<p class="picked"><strong>${file.name}</strong><span class="quiet">${bytes(file.size)}</span></p>`}
  <${Place} accept=".zip" words=${file ? "Another bundle" : "The zip of a model's page, or the student.zip of an export"} take=${(given) => given && pick(given)} />
</div>`;

/** `bring(file, fields)` sends a bundle and has it taken in; `state` tells how far it is, as Sending shows it. */
function useBundle() {
  const [state, set] = useState(null);
  const known = useRef({}); // {file, id}: of the last upload, for a second try
  const stopping = useRef(null);
  const stop = () => stopping.current?.abort();
  useEffect(() => stop, []); // whoever closes the dialog wants no more of it
  const bring = async (file, fields) => {
    const { signal } = (stopping.current = new AbortController());
    try {
      set({ file, share: 0 });
      if (known.current.file !== file) known.current = { file, id: await sent(file, (share) => set({ file, share }), signal) };
      set({ file, share: 1, checking: true });
      return await post("/v1/models/import", { upload_id: known.current.id, ...fields }, { signal });
    } catch (problem) {
      if (problem.code?.startsWith?.("upload_")) known.current = {}; // it is no longer there
      throw problem;
    } finally {
      set(null);
    }
  };
  return { state, bring, stop };
}
