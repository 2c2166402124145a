/** The plan: the service's check of the request while the user edits it, and the submit button. */
import { post } from "../lib/api.js";
import { formatBytes, formatCount, formatNumber } from "../lib/format.js";
import { navigate } from "../lib/router.js";
import { ActionButton, DescriptionList, ErrorNotice, Panel } from "../ui/components.js";
import { html, useEffect, useState } from "../vendor/preact.js";
import { mergePatch, missingInput, requestBody } from "./job_request.js";

const DEBOUNCE_MS = 350;

/** Return {plan, error, isLoading}, all unset while the request is incomplete. */
export function usePlan(request) {
  const [state, setState] = useState({});
  const body = missingInput(request) ? null : JSON.stringify(requestBody(request));
  useEffect(() => {
    if (body === null) return setState({});
    setState((old) => ({ ...old, isLoading: true }));
    const controller = new AbortController();
    const options = { signal: controller.signal, key: null };
    const validate = () =>
      post("/v1/jobs?validate_only=true", JSON.parse(body), options).then(
        (plan) => setState({ plan }),
        (error) => error.name === "AbortError" || setState({ error }),
      );
    const timer = setTimeout(validate, DEBOUNCE_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [body]);
  return state;
}

export function PlanPanel({ request, planState, originalBody, clonedId }) {
  const { plan, error, isLoading } = planState;
  const body = requestBody(request);
  const submit = async () => {
    const job = await (clonedId
      ? post(`/v1/jobs/${clonedId}/clone`, mergePatch(originalBody, body))
      : post("/v1/jobs", body));
    navigate(`/jobs/${job.id}`);
  };
  const status = html`<span class="small muted" role="status">
    ${planStatus(planState)}
  </span>`;
  return html`<div class="plan stack"><${Panel} title="Plan" headerActions=${status}>
    <div class="stack">
      ${!plan && !error && html`<p class="muted">${pendingText(request)}</p>`}
      ${plan && html`<${PlanResult} plan=${plan} />`}
      <${ErrorNotice} error=${error} />
      <${ActionButton} kind="primary" onClick=${submit} disabled=${!plan?.valid || isLoading}>
        ${clonedId ? "Submit clone" : "Submit"}
      </${ActionButton}>
      ${plan && html`<details class="more">
        <summary>Request as JSON</summary>
        <pre class="code" tabindex="0" aria-label="Request">${JSON.stringify(body, null, 2)}</pre>
      </details>`}
    </div>
  </${Panel}></div>`;
}

function planStatus({ plan, isLoading }) {
  if (isLoading) return "Checking…";
  if (!plan) return "";
  return plan.valid ? "Valid" : "Invalid";
}

function pendingText(request) {
  const missing = missingInput(request);
  if (!missing) return "Checking the request…";
  return `${missing}. The service then checks the request here, and estimates the student's size.`;
}

const PlanResult = ({ plan }) => html`
  ${plan.estimate && html`<${EstimateList} estimate=${plan.estimate} />`}
  ${plan.valid && !plan.estimate && html`<p class="muted">
    The student's size appears once the dataset has been checked. It is not available for every
    combination of options.
  </p>`}
  ${plan.problems.map((problem) => html`<${ErrorNotice} error=${problem} />`)}
  ${plan.waiting_for && html`<p class="notice warn">
    <span>The job would wait for ${plan.waiting_for}.</span>
  </p>`}`;

function EstimateList({ estimate }) {
  const { exact, parameters, weight_bytes: weightBytes, compression } = estimate;
  const items = [
    ["Parameters", html`<strong>${exact ? "" : "about "}${formatCount(parameters)}</strong>`],
    ["Weights", html`<strong>${formatBytes(weightBytes)}</strong> as float32`],
  ];
  if (estimate.teacher_parameters) {
    items.push(["Teacher", `${formatCount(estimate.teacher_parameters)} parameters`]);
  }
  if (compression) {
    const comparison = compression < 1 ? "(larger than the teacher)" : "smaller";
    items.push([
      "Compression", html`<strong>${formatNumber(compression, 3)} ×</strong> ${comparison}`,
    ]);
  }
  return html`<${DescriptionList} items=${items} />`;
}
