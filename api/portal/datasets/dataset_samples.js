/** Sample images of each class. */
import { Panel } from "../ui/components.js";
import { html } from "../vendor/preact.js";
import { SpriteRows, spriteScale } from "./sprite_rows.js";

export function SampleImages({ dataset }) {
  if (!dataset.samples) return null;
  const scale = spriteScale(dataset.samples);
  const note = html`<span class="small muted">
    ${scale > 1 ? `enlarged ${scale}×` : "original size"}
  </span>`;
  const rows = dataset.samples.classes.map((classIndex, row) => {
    const label = classIndex === null ? "unlabeled" : dataset.classes[classIndex];
    return { row, label, name: `Samples of ${label}` };
  });
  return html`<${Panel} title="Samples" headerActions=${note}>
    <${SpriteRows} url=${`/v1/datasets/${dataset.id}/samples`} layout=${dataset.samples}
      rows=${rows} label="Samples by class" noun="classes" />
  </${Panel}>`;
}
