/** The signed-in user: one shared object that components can subscribe to. */
export const Role = Object.freeze({
  VIEWER: "viewer",
  SUBMITTER: "submitter",
  OPERATOR: "operator",
  ADMIN: "admin",
});

export const SessionState = Object.freeze({
  UNKNOWN: "unknown",
  SIGNED_OUT: "signed_out",
  SIGNED_IN: "signed_in",
  EXPIRED: "expired",
});

const ROLES = Object.values(Role); // each role includes the permissions of those before it
const listeners = new Set();

export const session = {
  state: SessionState.UNKNOWN,
  me: null,
  csrf: null,
  oidc: false,
  version: "",

  /**
   * Load the session. The first request is for /login, which returns 200 even if no user is signed
   * in. The browser's console then shows no error.
   */
  async load() {
    const response = await fetch("/login", { headers: { Accept: "application/json" } });
    const { signed_in, oidc, version } = await response.json();
    Object.assign(session, { oidc, version });
    if (!signed_in) return session.setState(SessionState.SIGNED_OUT);
    const sessionResponse = await fetch("/v1/session");
    if (!sessionResponse.ok) return session.setState(SessionState.SIGNED_OUT);
    return session.signIn(await sessionResponse.json());
  },

  signIn({ me, csrf_token }) {
    Object.assign(session, { me, csrf: csrf_token });
    session.setState(SessionState.SIGNED_IN);
  },

  expire() {
    if (session.state === SessionState.SIGNED_IN) session.setState(SessionState.EXPIRED);
  },

  signOut() {
    Object.assign(session, { me: null, csrf: null });
    session.setState(SessionState.SIGNED_OUT);
  },

  setState(state) {
    session.state = state;
    for (const listener of listeners) listener();
  },

  /** Call `listener` after every change, until the returned function is called. */
  subscribe(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },

  /** Return whether the signed-in user has this role or a higher one. */
  hasRole(role) {
    return ROLES.indexOf(session.me?.role) >= ROLES.indexOf(role);
  },
};
