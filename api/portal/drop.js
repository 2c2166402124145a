/** A place to drop a file on, or to pick one: sent with progress, then looked into by a worker until it is ready or refused. */
import { get } from "./api.js";
import { bytes, percent } from "./format.js";
import { Bar, Refusal, toast } from "./parts.js";
import { bring } from "./uploads.js";
import { html, useRef, useState } from "./vendor/preact.js";

const LOOK = 700; // milliseconds between two looks at the check

/** `kind` is teachers or datasets; `done(row)` hears of what is ready, or of what is unfit, which says why. */
export function Drop({ kind, accept, words, done, fields = {} }) {
  const [state, set] = useState(null); // {file, share, checking}
  const [problem, fail] = useState(null);
  const stop = useRef(null);
  const take = async (file) => {
    if (!file) return;
    fail(null);
    stop.current = new AbortController();
    try {
      set({ file, share: 0 });
      const made = await bring(kind, file, fields, (share) => set({ file, share }), stop.current.signal);
      set({ file, share: 1, checking: true });
      done(await checked(kind, made));
    } catch (found) {
      if (found.name !== "AbortError") fail(found);
      else toast("The upload was stopped");
    } finally {
      set(null);
    }
  };
  if (state) return html`<${Sending} state=${state} stop=${() => stop.current?.abort()} />`;
  return html`<div class="stack"><${Place} accept=${accept} words=${words} take=${take} /><${Refusal} problem=${problem} /></div>`;
}

/** The place itself: `take(file)` hears of what was dropped or picked. */
export function Place({ accept, words, take }) {
  const [over, setOver] = useState(false);
  const dropped = (event) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files[0]);
  };
  const hover = (event) => {
    event.preventDefault();
    setOver(true);
  };
  const picked = ({ target }) => {
    const [file] = target.files;
    target.value = ""; // so that the same file can be picked again
    take(file);
  };
  return html`<label class="drop ${over ? "over" : ""}" onDragOver=${hover} onDragLeave=${() => setOver(false)} onDrop=${dropped}>
    <input type="file" class="hidden-visually" accept=${accept} aria-label=${words} onChange=${picked} />
    <strong>${words}</strong><span class="quiet small">Drop a file here, or click to choose one</span>
  </label>`;
}

/** A file on its way: `state` is {file, share, checking}. */
export const Sending = ({ state, stop, checking = "A worker looks into it …" }) => html`<div class="drop busy" role="status">
  <strong>${state.file.name}</strong>
  <${Bar} share=${state.share} label=${`Upload of ${state.file.name}`} />
  <span class="row"><span class="quiet small">${state.checking ? checking : `${percent(state.share, 0)} of ${bytes(state.file.size)}`}</span>
  ${!state.checking && html`<button type="button" class="button tiny" onClick=${stop}>Stop</button>`}</span>
</div>`;

async function checked(kind, made) {
  let row = made;
  while (row.status === "validating") {
    await new Promise((resolve) => setTimeout(resolve, LOOK));
    row = await get(`/v1/${kind}/${made.id}`);
  }
  return row;
}
