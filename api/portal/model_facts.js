/** What a model is worth, in the words of every page that shows one. */
import { milliseconds, percent, plain, whole } from "./format.js";

const PLAIN = ["onnx", "safetensors"]; // in whole precision, the first of them that there is

export const titleOf = (model) => `${model.name} ${model.version}`;

/** Accuracy of one side of a report: of its classifier, or by neighbours of its features, or as agreement where nothing has a label. */
export function accuracyOf(metrics) {
  for (const [name, words] of [["top1", "top-1"], ["knn_top1", "top-1 by neighbours"], ["agreement", "agreement"]]) {
    const value = metrics?.[name];
    if (value !== null && value !== undefined) return { value, words };
  }
  return { value: null, words: "top-1" };
}

export const shownAccuracy = (metrics) => {
  const { value, words } = accuracyOf(metrics);
  return words === "top-1" ? percent(value) : `${percent(value)} (${words})`;
};

/** The file that speaks for the model: its float32 weights. */
export const mainFile = (model) => PLAIN.map((format) => model.files.find((file) => file.format === format)).find(Boolean) ?? model.files[0] ?? null;

/** By how much a share is more than another, in points. */
export const points = (value) => (value === null || value === undefined ? "–" : Math.abs(value) < 5e-5 ? "the same" : `${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(2)} points`);

/** How many times less one number is than another, in words for less and for more: "3.5 × smaller". */
export function against(mine, theirs, less, more) {
  if (!mine || !theirs) return null;
  if (Math.abs(mine / theirs - 1) < 0.05) return "about the same";
  return mine <= theirs ? `${(theirs / mine).toFixed(1)} × ${less}` : `${(mine / theirs).toFixed(1)} × ${more}`;
}

/** What is measured of a network: [name, words, how it is shown, and either how two differ or the words for less and for more]. */
export const MEASURES = [
  ["top1", "Top-1", percent, points],
  ["top5", "Top-5", percent, points],
  ["knn_top1", "Top-1 of the features, by nearest neighbours", percent, points],
  ["agreement", "Agreement with the teacher", percent, points],
  ["ece", "Calibration error (ECE)", plain],
  ["nll", "Negative log-likelihood", plain],
  ["parameters", "Parameters", whole, null, "fewer", "more"],
  ["macs", "Multiply-accumulates of one image", whole, null, "fewer", "more"],
  ["latency_ms", "Latency of one image, median", milliseconds, null, "faster", "slower"],
  ["latency_p95_ms", "Latency of one image, 95th percentile", milliseconds, null, "faster", "slower"],
  ["throughput", "Images a second, batches of 64", whole, null, "less", "more"],
];

/** By how much a measured value differs from another one. */
export function changed([, , , far, less, more], value, base) {
  if (value === null || value === undefined || base === null || base === undefined) return "–";
  if (far) return far(value - base);
  return less ? (against(value, base, less, more) ?? "–") : `${value < base ? "−" : "+"}${plain(Math.abs(value - base))}`;
}
