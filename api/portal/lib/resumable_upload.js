/** Resumable uploads in chunks (tus 1.0): after a lost connection, only the rest is sent. */
import { ApiError, fetchOrThrow, parseResponse, post } from "./api.js";
import { session } from "./session.js";

const CHUNK_BYTES = 16 * 2 ** 20;
const RETRY_DELAYS_MS = [500, 1000, 2000, 4000, 8000, 8000];
const FATAL_STATUSES = new Set([403, 404, 410, 413, 422, 460]); // a retry would fail again
const FILE_EXTENSION = /\.(zip|tar|tar\.gz|tgz|pth?|th|safetensors|onnx)$/i;

/** Upload a file, call `onProgress(fraction)` meanwhile, and return the upload's id. */
export async function uploadFile(file, onProgress, signal) {
  const url = await createUpload(file);
  let offset = 0;
  while (offset < file.size) {
    offset = await sendChunkWithRetry(url, file, offset, onProgress, signal);
  }
  return url.split("/").at(-1);
}

/**
 * Upload a file and create the resource in `collection` (teachers or datasets) from it. Return the
 * created resource.
 */
export async function uploadAndCreate(collection, file, fields, onProgress, signal) {
  const upload_id = await uploadFile(file, onProgress, signal);
  const name = file.name.replace(FILE_EXTENSION, "");
  return post(`/v1/${collection}`, { upload_id, name, ...fields });
}

async function createUpload(file) {
  const encodedName = btoa(String.fromCharCode(...new TextEncoder().encode(file.name)));
  const headers = tusHeaders({
    "Upload-Length": String(file.size),
    "Upload-Metadata": `filename ${encodedName}`,
  });
  const response = await fetchOrThrow("/v1/uploads", { method: "POST", headers });
  if (!response.ok) parseResponse(response.status, await response.text());
  return response.headers.get("Location");
}

const tusHeaders = (headers) => ({
  "Tus-Resumable": "1.0.0", "X-CSRF-Token": session.csrf, ...headers,
});

/**
 * Send one chunk and return the new offset. After a lost connection, ask the service how much it
 * has received and continue from there.
 */
async function sendChunkWithRetry(url, file, offset, onProgress, signal) {
  for (const delay of [...RETRY_DELAYS_MS, null]) {
    try {
      return await sendChunk(url, file, offset, onProgress, signal);
    } catch (error) {
      const isFatal = error.name === "AbortError" || FATAL_STATUSES.has(error.status);
      if (isFatal || delay === null) throw error;
      await new Promise((resolve) => setTimeout(resolve, delay));
      offset = await fetchOffset(url, offset);
    }
  }
  return offset;
}

async function fetchOffset(url, fallback) {
  try {
    const response = await fetch(url, { method: "HEAD", headers: tusHeaders({}) });
    return response.ok ? Number(response.headers.get("Upload-Offset")) : fallback;
  } catch {
    return fallback; // still offline: the next attempt reports it
  }
}

function sendChunk(url, file, offset, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch reports no upload progress
    const headers = tusHeaders({
      "Upload-Offset": String(offset),
      "Content-Type": "application/offset+octet-stream",
    });
    request.open("PATCH", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress((offset + event.loaded) / file.size);
    request.onerror = () =>
      reject(
        new ApiError({
          detail: "The connection was lost during the upload.",
          hint: "Try again. Data that was already received is not sent again.",
        }),
      );
    request.onabort = () => reject(new DOMException("The upload was canceled.", "AbortError"));
    request.onload = () => {
      try {
        parseResponse(request.status, request.responseText);
        resolve(Number(request.getResponseHeader("Upload-Offset")));
      } catch (error) {
        reject(error);
      }
    };
    signal?.addEventListener("abort", () => request.abort());
    request.send(file.slice(offset, offset + CHUNK_BYTES));
  });
}
