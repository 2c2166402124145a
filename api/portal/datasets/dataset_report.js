/** The health of a dataset: balance, files, class names, suspicious images and labels. */
import { formatInteger, formatNumber, formatPercent, MISSING_TEXT } from "../lib/format.js";
import { useFetch } from "../lib/hooks.js";
import { resourceUrl } from "../lib/router.js";
import {
  AsyncContent, DataTable, DescriptionList, ExpandableList, Panel,
} from "../ui/components.js";
import { html } from "../vendor/preact.js";
import { SpriteRows } from "./sprite_rows.js";

const VISIBLE_ERRORS = 10;
const FINDING_NAMES = {
  exact_duplicates: "Exact duplicates",
  near_duplicates: "Near-duplicates",
  black: "Almost black",
  white: "Almost white",
  constant: "Almost one color",
  blurred: "Blurred",
  odd_shape: "Very long or high",
};
const DIFFERENCE_NAMES = {
  spelling: "differ in spelling",
  plural: "singular and plural",
  typo: "differ in one letter",
};

export function DatasetHealth({ dataset }) {
  const query = useFetch(`/v1/datasets/${dataset.id}/report`);
  if (query.error?.code === "not_found") {
    const { message, hint } = query.error;
    return html`<${Panel} title="Health"><p>${message}</p><p class="muted">${hint}</p></${Panel}>`;
  }
  return html`<${AsyncContent} query=${query}>${(report) => html`<div class="stack">
    <${Panel} title="Health"><${ReportFacts} report=${report} dataset=${dataset} /></${Panel}>
    <${Findings} report=${report} dataset=${dataset} />
    <${LabelErrors} found=${report.label_errors} dataset=${dataset} />
  </div>`}</${AsyncContent}>`;
}

function ReportFacts({ report: { splits, files, ...report }, dataset: { classes } }) {
  const size = ({ width, height, images }) => `${width} × ${height} (${formatInteger(images)})`;
  const format = ({ channels, bits, images }) =>
    `${channels} × ${bits} bits (${formatInteger(images)})`;
  const pair = ({ classes: [first, second], difference }) =>
    `“${classes[first]}” and “${classes[second]}” (${DIFFERENCE_NAMES[difference] ?? difference})`;
  return html`<${DescriptionList} items=${[
    ["Imbalance, train", formatImbalance(splits.train.imbalance)],
    ["Imbalance, val", formatImbalance(splits.val.imbalance)],
    ...(splits.test ? [
      ["Imbalance, test", formatImbalance(splits.test.imbalance)],
      ["Test images in other splits", formatInteger(report.test_duplicates)],
    ] : []),
    ["Accuracy of the most common class", formatPercent(report.majority_top1)],
    ["Widths of the files", formatSides(files.width)],
    ["Heights of the files", formatSides(files.height)],
    ["Most common sizes", files.sizes.map(size).join(", ")],
    ["Channels and bits", files.formats.map(format).join(", ")],
    ["Similar class names", report.similar_classes.map(pair).join(", ") || "none"],
  ]} />`;
}

function formatImbalance(ratio) {
  if (ratio === null) return MISSING_TEXT;
  if (ratio === 1) return "none: all classes have the same number of images";
  return `${formatNumber(ratio, 3)} times as many images in the largest class as in the smallest`;
}

const formatSides = ({ min, median, max }) =>
  min === max ? `${min} px` : `${min} to ${max} px, median ${formatNumber(median)}`;

/** The result of each check, and examples of what the checks found. */
function Findings({ report: { findings, thumbnails }, dataset }) {
  const count = (value) => (value === null ? MISSING_TEXT : formatInteger(value));
  const rows = findings
    .filter(({ row }) => row !== null)
    .map(({ kind, row, examples }) => ({
      row,
      label: nameOf(kind),
      name: `Examples: ${nameOf(kind)}`,
      titles: examples.map((example) => describeExample(example, dataset.classes)),
    }));
  return html`<${Panel} title="Suspicious images" flush>
    <${DataTable} label="Checks of the images"
      rows=${findings.map((finding) => ({ id: finding.kind, ...finding }))} columns=${[
        ["Check", ({ kind }) => nameOf(kind)],
        ["Train", ({ train }) => count(train), "number"],
        ["Val", ({ val }) => count(val), "number"],
        ["In both splits", ({ across_splits: across }) => count(across), "number"],
        ["Different labels", ({ label_conflicts: conflicts }) => count(conflicts), "number"],
      ]} />
    ${thumbnails && html`<div class="body">
      <${SpriteRows} url=${`/v1/datasets/${dataset.id}/report/examples`} layout=${thumbnails}
        rows=${rows} label="Examples of suspicious images" noun="checks" />
    </div>`}
  </${Panel}>`;
}

const nameOf = (kind) => FINDING_NAMES[kind] ?? kind;

const describeExample = ({ name, split, label }, classes) =>
  `${name} (${split}${label === null ? "" : `, ${classes[label]}`})`;

/** Evaluation images whose labels a teacher contradicts. */
function LabelErrors({ found, dataset: { classes } }) {
  if (!found) return null;
  const rows = found.examples.map((error) => ({ id: error.index, ...error }));
  const columns = [
    ["Image", ({ name, index }) => name ?? `val[${index}]`],
    ["Label", ({ label }) => classes[label]],
    ["Probability", ({ confidence }) => formatPercent(confidence, 1), "number"],
    ["Suggested label", (error) => classes[error.suggested_label]],
    ["Probability", (error) => formatPercent(error.suggested_confidence, 1), "number"],
  ];
  return html`<${Panel} title="Possible label errors" label=${null} flush>
    <p class="panel-note">
      The teacher of <a href=${resourceUrl("model", found.model_id)}>this model</a> contradicts the
      labels of ${formatInteger(found.count)} of ${formatInteger(found.images)} evaluation images.
      The better the teacher, the more of these labels are wrong.
    </p>
    ${rows.length > 0 && html`<${ExpandableList} items=${rows} limit=${VISIBLE_ERRORS}
      noun="images">${(visible) => html`<${DataTable} label="Possible label errors" rows=${visible}
        columns=${columns} />`}</${ExpandableList}>`}
  </${Panel}>`;
}
