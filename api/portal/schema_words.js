/** What the service's schema lists: roles, scopes, events. It is asked once, by the forms that pick from them. */
import { get } from "./api.js";
import { useEffect, useState } from "./vendor/preact.js";

let asked = null;

const words = ({ components: { schemas } }) => ({
  roles: schemas.Role.enum,
  scopes: schemas.KeyForm.properties.scopes.items.enum,
  events: schemas.WebhookForm.properties.events.items.enum,
});

/** {roles, scopes, events}; null while they are on their way, and `problem` where they cannot be had. */
export function useWords() {
  const [state, set] = useState({ words: null, problem: null });
  useEffect(() => {
    asked ??= get("/openapi.json").then(words);
    asked.then(
      (found) => set({ words: found, problem: null }),
      (problem) => {
        asked = null;
        set({ words: null, problem });
      },
    );
  }, []);
  return state;
}
