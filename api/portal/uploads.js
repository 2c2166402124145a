/** Files on their way to the service, in pieces (tus 1.0): what was sent before a break is not sent again. */
import { Problem, post } from "./api.js";
import { session } from "./session.js";

const CHUNK = 16 * 2 ** 20;
const PAUSES = [500, 1000, 2000, 4000, 8000, 8000]; // milliseconds, between tries of one piece
const GONE = new Set([403, 404, 410, 413, 422, 460]); // trying again would change nothing

/** Sends `file`; `progress(share)` on the way. Resolves to the id of the upload. */
export async function sent(file, progress, signal) {
  const address = await create(file);
  let offset = 0;
  while (offset < file.size) offset = await piece(address, file, offset, progress, signal);
  return address.split("/").at(-1);
}

/** Sends `file`, then has it taken in as `kind` (teachers or datasets) with these fields. Resolves to what was made. */
export async function bring(kind, file, fields, progress, signal) {
  const upload_id = await sent(file, progress, signal);
  return post(`/v1/${kind}`, { upload_id, name: file.name.replace(/\.(zip|tar|tar\.gz|tgz|pth?|th|safetensors|onnx)$/i, ""), ...fields });
}

async function create(file) {
  const words = btoa(String.fromCharCode(...new TextEncoder().encode(file.name)));
  const answer = await fetch("/v1/uploads", { method: "POST", headers: ours({ "Upload-Length": String(file.size), "Upload-Metadata": `filename ${words}` }) });
  if (!answer.ok) throw new Problem(await answer.json());
  return answer.headers.get("Location");
}

const ours = (more) => ({ "Tus-Resumable": "1.0.0", "X-CSRF-Token": session.csrf, ...more });

/** Sends one piece; where the connection breaks, asks how much has come and goes on from there. Resolves to the new offset. */
async function piece(address, file, offset, progress, signal) {
  for (const pause of [...PAUSES, null]) {
    try {
      return await send(address, file, offset, progress, signal);
    } catch (problem) {
      if (problem.name === "AbortError" || GONE.has(problem.status) || pause === null) throw problem;
      await new Promise((resolve) => setTimeout(resolve, pause));
      offset = await known(address, offset);
    }
  }
  return offset;
}

async function known(address, before) {
  try {
    const answer = await fetch(address, { method: "HEAD", headers: ours({}) });
    return answer.ok ? Number(answer.headers.get("Upload-Offset")) : before;
  } catch {
    return before; // still no connection: the next try tells
  }
}

function send(address, file, offset, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells no progress
    request.open("PATCH", address);
    for (const [name, value] of Object.entries(ours({ "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" }))) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress((offset + event.loaded) / file.size);
    request.onerror = () => reject(new Problem({ detail: "The connection broke while the file was sent.", hint: "Try again: what has come is not sent twice." }));
    request.onabort = () => reject(new DOMException("The upload was stopped.", "AbortError"));
    request.onload = () => (request.status === 204 ? resolve(Number(request.getResponseHeader("Upload-Offset"))) : reject(refused(request)));
    signal?.addEventListener("abort", () => request.abort());
    request.send(file.slice(offset, offset + CHUNK));
  });
}

function refused(request) {
  try {
    return new Problem(JSON.parse(request.responseText));
  } catch {
    return new Problem({ status: request.status, detail: `The service answered ${request.status}.` });
  }
}
