/** The service's OpenAPI document, fetched once: schemas for forms and lists of enum values. */
import { get } from "./api.js";
import { useEffect, useState } from "../vendor/preact.js";

const OPENAPI_URL = "/openapi.json";
let openapiPromise = null;
let enumsPromise = null;

function loadOpenapi() {
  openapiPromise ??= get(OPENAPI_URL).catch((error) => {
    openapiPromise = null; // lets the next caller try again
    throw error;
  });
  return openapiPromise;
}

/** Return the schema that a `$ref` points at, or the schema itself. */
export async function resolveSchema(schema) {
  const { components } = await loadOpenapi();
  return schema.$ref ? components.schemas[refName(schema.$ref)] : schema;
}

const refName = (reference) => reference.split("/").at(-1);

/** Return the JSON schema of the request body of POST `path`. */
export async function fetchRequestSchema(path) {
  const { paths } = await loadOpenapi();
  return resolveSchema(paths[path].post.requestBody.content["application/json"].schema);
}

/** Return the schemas of a list of tagged objects, by tag. */
export async function fetchVariants({ items }) {
  const variants = Object.entries(items.discriminator.mapping).map(
    async ([tag, $ref]) => [tag, await resolveSchema({ $ref })],
  );
  return Object.fromEntries(await Promise.all(variants));
}

async function extractEnums() {
  const key = await fetchRequestSchema("/v1/keys");
  const webhook = await fetchRequestSchema("/v1/webhooks");
  return {
    roles: (await resolveSchema(key.properties.role)).enum,
    scopes: key.properties.scopes.items.enum,
    events: webhook.properties.events.items.enum,
  };
}

/** Return {enums, error}; `enums` is {roles, scopes, events}, or null while loading. */
export function useSchemaEnums() {
  const [state, setState] = useState({ enums: null, error: null });
  useEffect(() => {
    enumsPromise ??= extractEnums();
    enumsPromise.then(
      (enums) => setState({ enums, error: null }),
      (error) => {
        enumsPromise = null; // lets the next form try again
        setState({ enums: null, error });
      },
    );
  }, []);
  return state;
}
