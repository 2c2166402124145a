/** What the service would make of the request, asked while one types, and the button that has it made. */
import { post } from "../api.js";
import { bytes, count, plain } from "../format.js";
import { Doing, Facts, Panel, Refusal } from "../parts.js";
import { go } from "../router.js";
import { html, useEffect, useState } from "../vendor/preact.js";
import { bodyOf, missing, patchOf } from "./request.js";

const PAUSE = 350; // milliseconds of quiet in the typing

/** The plan for the request: {plan, problem, asking}; all empty until enough is said. */
export function usePlan(request) {
  const [state, set] = useState({});
  const text = missing(request) ? null : JSON.stringify(bodyOf(request));
  useEffect(() => {
    if (text === null) return set({});
    set((old) => ({ ...old, asking: true }));
    const stop = new AbortController();
    const timer = setTimeout(() => {
      post("/v1/jobs?validate_only=true", JSON.parse(text), { signal: stop.signal, key: null }).then(
        (plan) => set({ plan }),
        (problem) => problem.name === "AbortError" || set({ problem }),
      );
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [text]);
  return state;
}

/** What is wrong with the field at a JSON pointer, in the service's words; "" where nothing is. */
export function wrongIn({ plan, problem }) {
  const found = [...(plan?.problems ?? []), ...(problem?.fields ?? [])];
  return (pointer) => found.find((one) => one.pointer === pointer)?.message ?? "";
}

export function Plan({ request, state, original, cloned }) {
  const { plan, problem, asking } = state;
  const submit = async () => {
    const body = bodyOf(request);
    const job = await (cloned ? post(`/v1/jobs/${cloned}/clone`, patchOf(original, body)) : post("/v1/jobs", body));
    go(`/jobs/${job.id}`);
  };
  const good = plan?.valid && !asking;
  return html`<div class="plan stack"><${Panel} title="Plan" aside=${html`<span class="small quiet" role="status">${asking ? "checking …" : plan ? (plan.valid ? "fits" : "does not fit") : ""}</span>`}><div class="stack">
    ${!plan && !problem && html`<p class="quiet">${missing(request) || "One moment"}: the service then says here whether it fits, and how small the student will be.</p>`}
    ${plan?.estimate && html`<${Size} of=${plan.estimate} />`}
    ${plan?.valid && !plan.estimate && html`<p class="quiet">The student's size is known once the data set has been looked into, for the options that were counted.</p>`}
    ${plan?.problems.map((one) => html`<${Refusal} problem=${{ ...one, message: one.message }} />`)}
    ${problem && html`<${Refusal} problem=${problem} />`}
    ${plan?.waiting_for && html`<p class="notice warn"><span>It would wait for ${plan.waiting_for}.</span></p>`}
    <${Doing} kind="primary" does=${submit} disabled=${!good}>${cloned ? "Submit the clone" : "Submit"}</${Doing}>
    ${plan && html`<details class="more"><summary>The request as JSON</summary><pre class="code" tabindex="0" aria-label="Request">${JSON.stringify(bodyOf(request), null, 2)}</pre></details>`}
  </div></${Panel}></div>`;
}

const Size = ({ of: found }) => html`<${Facts} of=${[
  ["Parameters", html`<strong>${found.exact ? "" : "about "}${count(found.parameters)}</strong>`],
  ["Weights", html`<strong>${bytes(found.weight_bytes)}</strong> as float32`],
  ...(found.teacher_parameters ? [["Teacher", `${count(found.teacher_parameters)} parameters`]] : []),
  ...(found.compression ? [["Compression", html`<strong>${plain(found.compression, 3)} ×</strong> ${found.compression < 1 ? "(larger than its teacher)" : "smaller"}`]] : []),
]} />`;
