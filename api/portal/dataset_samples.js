/** Some images of each class: rows of tiles on one picture, of which each row here shows its part. */
import { whole } from "./format.js";
import { Panel, Refusal } from "./parts.js";
import { html, useEffect, useState } from "./vendor/preact.js";

const TILE = 64; // pixels of the screen that a small image is brought to, by whole steps
const FIRST = 12;
const GONE = { message: "The picture of samples could not be loaded.", code: "unreachable", hint: "Try again in a moment; the images themselves are not touched by it." };

export function Samples({ dataset }) {
  const [all, show] = useState(false);
  const [tries, again] = useState(0);
  const address = `/v1/datasets/${dataset.id}/samples`;
  const picture = usePicture(dataset.samples && address, tries);
  if (!dataset.samples) return null;
  const { columns, width, height, classes } = dataset.samples;
  const scale = Math.max(1, Math.floor(TILE / Math.max(width, height)));
  const shown = all ? classes : classes.slice(0, FIRST);
  const tile = (row, column) => ({
    width: `${width * scale}px`, height: `${height * scale}px`, backgroundImage: `url("${address}")`, backgroundRepeat: "no-repeat", flex: "none",
    backgroundSize: `${columns * width * scale}px auto`, backgroundPosition: `-${column * width * scale}px -${row * height * scale}px`,
  });
  const tilesOf = (row) => Array.from({ length: columns }, (_, column) => html`<span style=${tile(row, column)}></span>`);
  return html`<${Panel} title="Samples" aside=${html`<span class="small quiet">${scale > 1 ? `shown ${scale} times as large` : "in their own size"}</span>`}>
    ${picture === "gone" && html`<${Refusal} problem=${GONE} retry=${() => again(tries + 1)} />`}
    ${picture === "here" && html`<div class="samples" tabindex="0" role="region" aria-label="Samples by class">${shown.map((index, place) => html`<div class="sample-row" key=${place}><span class="name">${nameOf(dataset, index)}</span><div class="tiles-of ${scale > 1 ? "pixelated" : ""}" role="img" aria-label=${`Samples of ${nameOf(dataset, index)}`}>${tilesOf(place)}</div></div>`)}</div>`}
    ${picture === null && html`<div class="skeleton" role="status" aria-label="Loading"></div>`}
    ${classes.length > FIRST && !all && html`<p class="row above"><button class="button tiny" onClick=${() => show(true)}>Show all ${whole(classes.length)} classes</button></p>`}
  </${Panel}>`;
}

const nameOf = (dataset, index) => (index === null ? "no label" : dataset.classes[index]);

/** Whether the picture is here, gone or (null) on its way. Another try asks for it again. */
function usePicture(address, tries) {
  const [state, set] = useState(null);
  useEffect(() => {
    if (!address) return;
    set(null);
    const image = new Image();
    image.onload = () => set("here");
    image.onerror = () => set("gone");
    image.src = address;
  }, [address, tries]);
  return state;
}
