/** A model's metrics and how every page that shows a model formats them. */
import {
  formatInteger, formatMilliseconds, formatNumber, formatPercent, isMissing, MISSING_TEXT,
} from "../lib/format.js";

/** The API's limit on the number of models in a comparison. */
export const MAX_COMPARED = 20;

export const FileFormat = Object.freeze({
  ONNX: "onnx",
  SAFETENSORS: "safetensors",
  BUNDLE: "bundle",
});

const FLOAT32_FORMATS = [FileFormat.ONNX, FileFormat.SAFETENSORS]; // in order of preference
const SAME_POINTS = 5e-5; // smaller differences in accuracy count as zero
const SAME_RATIO = 0.05; // sizes and times within 5 % count as equal

const ACCURACY_METRICS = [
  ["top1", "top-1"],
  ["knn_top1", "top-1 by nearest neighbors"],
  ["agreement", "agreement"],
];

export const modelTitle = (model) => `${model.name} ${model.version}`;

/**
 * Return the main accuracy among a student's or teacher's metrics as {value, label}: the first that
 * exists of the classifier's accuracy, the nearest-neighbor accuracy of the features, and the
 * agreement with the teacher (for unlabeled data).
 */
export function mainAccuracy(metrics) {
  for (const [name, label] of ACCURACY_METRICS) {
    const value = metrics?.[name];
    if (!isMissing(value)) return { value, label };
  }
  return { value: null, label: "top-1" };
}

export function formatAccuracy(metrics) {
  const { value, label } = mainAccuracy(metrics);
  return label === "top-1" ? formatPercent(value) : `${formatPercent(value)} (${label})`;
}

/** Return the file that represents the model: its float32 weights. */
export function mainFile(model) {
  const files = FLOAT32_FORMATS.map((format) => findFile(model, format));
  return files.find(Boolean) ?? model.files[0] ?? null;
}

export const findFile = (model, format) => model.files.find((file) => file.format === format);

/** Format a difference between accuracies in percentage points. */
export function formatPoints(difference) {
  if (isMissing(difference)) return MISSING_TEXT;
  if (Math.abs(difference) < SAME_POINTS) return "±0 points";
  return `${sign(difference)}${Math.abs(100 * difference).toFixed(2)} points`;
}

/**
 * Describe the gain over the same network trained on labels alone as {tone, text, note}, or return
 * null if there is no baseline. The gain is undecided if its 95 % interval contains zero.
 */
export function describeGain(baseline) {
  if (!baseline) return null;
  const { gain, gain_interval: interval, top1, images } = baseline;
  const points = `${sign(gain)}${Math.abs(100 * gain).toFixed(1)} ± ${(100 * interval).toFixed(1)}`;
  const text = `${points} points over the same network trained on labels alone`;
  const measured = `It reaches ${formatPercent(top1)} on the same ${formatInteger(images)} images.`;
  if (Math.abs(gain) <= interval) {
    const reason = "The interval contains zero, so the difference can be due to chance.";
    return { tone: "", text, note: `${measured} ${reason}` };
  }
  if (gain > 0) return { tone: "good", text, note: measured };
  return { tone: "bad", text, note: `${measured} Distillation made this student worse.` };
}

const sign = (difference) => (difference < 0 ? "−" : "+");

/** Format a ratio with the matching adjective, as in "3.5 × smaller". */
export function formatRatio(value, base, lessLabel, moreLabel) {
  if (!value || !base) return null;
  if (Math.abs(value / base - 1) < SAME_RATIO) return "about the same";
  if (value <= base) return `${(base / value).toFixed(1)} × ${lessLabel}`;
  return `${(value / base).toFixed(1)} × ${moreLabel}`;
}

/**
 * The measured metrics: name, label, format, and how to compare two values. `inPoints` shows the
 * difference in percentage points, and `ratio` a ratio with the adjective for less or more. Without
 * either, the plain difference is shown.
 */
export const METRICS = [
  { name: "top1", label: "Top-1", format: formatPercent, inPoints: true },
  { name: "top5", label: "Top-5", format: formatPercent, inPoints: true },
  {
    name: "knn_top1", label: "Nearest-neighbor top-1 on the features",
    format: formatPercent, inPoints: true,
  },
  {
    name: "agreement", label: "Agreement with the teacher", format: formatPercent, inPoints: true,
  },
  { name: "ece", label: "Calibration error (ECE)", format: formatNumber },
  { name: "nll", label: "Negative log-likelihood", format: formatNumber },
  { name: "parameters", label: "Parameters", format: formatInteger, ratio: ["fewer", "more"] },
  {
    name: "macs", label: "Multiply-accumulates per image", format: formatInteger,
    ratio: ["fewer", "more"],
  },
  {
    name: "latency_ms", label: "Latency per image, median", format: formatMilliseconds,
    ratio: ["faster", "slower"],
  },
  {
    name: "latency_p95_ms", label: "Latency per image, 95th percentile",
    format: formatMilliseconds, ratio: ["faster", "slower"],
  },
  {
    name: "throughput", label: "Images per second, batches of 64", format: formatInteger,
    ratio: ["less", "more"],
  },
];

/** Format the change of a metric from the value `base` to `value`. */
export function formatChange({ inPoints, ratio }, value, base) {
  if (isMissing(value) || isMissing(base)) return MISSING_TEXT;
  if (inPoints) return formatPoints(value - base);
  if (ratio) return formatRatio(value, base, ...ratio) ?? MISSING_TEXT;
  return `${sign(value - base)}${formatNumber(Math.abs(value - base))}`;
}
