/** Who is signed in. One object, and those who want to know when it changes. */
const listeners = new Set();
const ROLES = ["viewer", "submitter", "operator", "admin"];

export const session = {
  state: "unknown", // then: out, in, lost (was in, and the service says no longer)
  me: null,
  csrf: null,
  oidc: false,
  version: "",

  /** Asks the service. Not by a request that it would refuse: that would stand in the browser's console as an error. */
  async begin() {
    const facts = await (await fetch("/login", { headers: { Accept: "application/json" } })).json();
    Object.assign(session, { oidc: facts.oidc, version: facts.version });
    if (!facts.signed_in) return session.set("out");
    const answer = await fetch("/v1/session");
    return answer.ok ? session.enter(await answer.json()) : session.set("out");
  },

  enter({ me, csrf_token }) {
    Object.assign(session, { me, csrf: csrf_token });
    session.set("in");
  },

  lose() {
    if (session.state === "in") session.set("lost");
  },

  leave() {
    Object.assign(session, { me: null, csrf: null });
    session.set("out");
  },

  set(state) {
    session.state = state;
    for (const tell of listeners) tell();
  },

  listen(tell) {
    listeners.add(tell);
    return () => listeners.delete(tell);
  },

  /** Whether the signed-in role is that one or a greater one. */
  reaches(role) {
    return ROLES.indexOf(session.me?.role) >= ROLES.indexOf(role);
  },
};
