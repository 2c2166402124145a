/** Rows of small images, cut from one sprite image that the service provides. */
import { ErrorNotice, ExpandableList } from "../ui/components.js";
import { html, useEffect, useState } from "../vendor/preact.js";

const TILE_PIXELS = 64; // small images are enlarged up to this size, by whole factors
const VISIBLE_ROWS = 12;
const LOAD_ERROR = {
  message: "The images could not be loaded.",
  code: "unreachable",
  hint: "Try again in a moment. The dataset itself is not affected.",
};

/** The factor by which images of a sprite layout {width, height} are enlarged. */
export const spriteScale = ({ width, height }) =>
  Math.max(1, Math.floor(TILE_PIXELS / Math.max(width, height)));

/**
 * Rows of a sprite image with a layout {columns, width, height}. `rows` are {row, label, name,
 * titles}: the row in the sprite, its visible label, its accessible name, and the title of each
 * tile. Without titles, all columns are shown.
 */
export function SpriteRows({ url, layout, rows, label, noun }) {
  const [attempts, setAttempts] = useState(0);
  const status = useImageStatus(url, attempts);
  if (status === "failed") {
    return html`<${ErrorNotice} error=${LOAD_ERROR} onRetry=${() => setAttempts(attempts + 1)} />`;
  }
  if (status === null) {
    return html`<div class="skeleton" role="status" aria-label="Loading"></div>`;
  }
  const elements = rows.map((item) => html`<${SpriteRow} key=${item.row} ...${item} url=${url}
    layout=${layout} />`);
  return html`<${ExpandableList} items=${elements} limit=${VISIBLE_ROWS} noun=${noun}
    className="row space-above">${(visible) => html`
      <div class="samples" tabindex="0" role="region" aria-label=${label}>${visible}</div>
    `}</${ExpandableList}>`;
}

/** One row of the sprite. Each tile shows it as its background. */
function SpriteRow({ row, label, name, titles, url, layout }) {
  const { columns, width, height } = layout;
  const scale = spriteScale(layout);
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
    { length: titles?.length ?? columns },
    (_, column) => html`<span style=${tileStyle(column)} title=${titles?.[column]}></span>`,
  );
  return html`<div class="sample-row">
    <span class="name">${label}</span>
    <div class="sample-tiles ${scale > 1 ? "pixelated" : ""}" role="img" aria-label=${name}>
      ${tiles}
    </div>
  </div>`;
}

/** Return "loaded", "failed", or null while the image loads. A new `attempts` reloads it. */
function useImageStatus(url, attempts) {
  const [status, setStatus] = useState(null);
  useEffect(() => {
    setStatus(null);
    const image = new Image();
    image.onload = () => setStatus("loaded");
    image.onerror = () => setStatus("failed");
    image.src = url;
  }, [url, attempts]);
  return status;
}
