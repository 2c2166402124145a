/** Sample images of each class, cut from one sprite image that the service provides. */
import { ErrorNotice, ExpandableList, Panel } from "../ui/components.js";
import { html, useEffect, useState } from "../vendor/preact.js";

const TILE_PIXELS = 64; // small images are enlarged up to this size, by whole factors
const VISIBLE_CLASSES = 12;
const LOAD_ERROR = {
  message: "The sample images could not be loaded.",
  code: "unreachable",
  hint: "Try again in a moment. The dataset itself is not affected.",
};

export function SampleImages({ dataset }) {
  const [attempts, setAttempts] = useState(0);
  const url = `/v1/datasets/${dataset.id}/samples`;
  const imageStatus = useImageStatus(dataset.samples && url, attempts);
  if (!dataset.samples) return null;
  const { width, height, classes } = dataset.samples;
  const scale = Math.max(1, Math.floor(TILE_PIXELS / Math.max(width, height)));
  const note = html`<span class="small muted">
    ${scale > 1 ? `enlarged ${scale}×` : "original size"}
  </span>`;
  const rows = classes.map((classIndex, row) => html`<${SampleRow} key=${row} row=${row} url=${url}
    label=${classLabel(dataset, classIndex)} samples=${dataset.samples} scale=${scale} />`);
  return html`<${Panel} title="Samples" headerActions=${note}>
    ${imageStatus === "failed" && html`<${ErrorNotice} error=${LOAD_ERROR}
      onRetry=${() => setAttempts(attempts + 1)} />`}
    ${imageStatus === null && html`<div class="skeleton" role="status" aria-label="Loading"></div>`}
    ${imageStatus === "loaded" && html`<${ExpandableList} items=${rows} limit=${VISIBLE_CLASSES}
      noun="classes" className="row space-above">${(visible) => html`
        <div class="samples" tabindex="0" role="region" aria-label="Samples by class">
          ${visible}
        </div>`}</${ExpandableList}>`}
  </${Panel}>`;
}

const classLabel = (dataset, index) => (index === null ? "unlabeled" : dataset.classes[index]);

/** The images of one class: a row of the sprite image, each shown as the background of a tile. */
function SampleRow({ row, label, url, samples: { columns, width, height }, scale }) {
  const tileStyle = (column) => ({
    width: `${width * scale}px`,
    height: `${height * scale}px`,
    flex: "none",
    backgroundImage: `url("${url}")`,
    backgroundRepeat: "no-repeat",
    backgroundSize: `${columns * width * scale}px auto`,
    backgroundPosition: `-${column * width * scale}px -${row * height * scale}px`,
  });
  const tiles = Array.from(
    { length: columns },
    (_, column) => html`<span style=${tileStyle(column)}></span>`,
  );
  return html`<div class="sample-row">
    <span class="name">${label}</span>
    <div class="sample-tiles ${scale > 1 ? "pixelated" : ""}" role="img"
      aria-label=${`Samples of ${label}`}>${tiles}</div>
  </div>`;
}

/** Return "loaded", "failed", or null while the image loads. A new `attempts` reloads it. */
function useImageStatus(url, attempts) {
  const [status, setStatus] = useState(null);
  useEffect(() => {
    if (!url) return;
    setStatus(null);
    const image = new Image();
    image.onload = () => setStatus("loaded");
    image.onerror = () => setStatus("failed");
    image.src = url;
  }, [url, attempts]);
  return status;
}
