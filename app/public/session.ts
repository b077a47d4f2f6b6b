/**
 * Who this tab is. Kept in sessionStorage: a reload stays signed in, another tab is someone else, and closing the tab
 * forgets the token. It lives an hour at most and no script but the page's own can run here (CSP).
 */
export interface Session {
  token: string;
  username: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  /** Whether the server gives another token for the name. */
  demo: boolean;
}

/** Why there is no session; `message` is for the person. */
export interface SignInProblem {
  kind: 'name' | 'no-demo' | 'busy' | 'unavailable' | 'token';
  message: string;
}

const KEY = 'wsfleet.session';

/** A token that ends sooner than this is replaced: earlier than the server's warning of 60 s. */
const RENEW_BEFORE = 120_000;

export function loadSession(): Session | undefined {
  try {
    const session = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Session | null;
    return session && session.expiresAt > Date.now() ? session : undefined;
  } catch {
    return undefined;
  }
}

export function saveSession(session: Session | undefined): void {
  if (session) sessionStorage.setItem(KEY, JSON.stringify(session));
  else sessionStorage.removeItem(KEY);
}

/** Asks the server for a demo token. */
export async function signInByName(name: string): Promise<Session | SignInProblem> {
  if (name.trim() === '') return { kind: 'name', message: 'Please enter a name.' };
  let response: Response;
  try {
    response = await fetch('/demo/token', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: name.trim() }),
      signal: AbortSignal.timeout(5_000),
    });
  } catch {
    return { kind: 'unavailable', message: 'The server does not answer. Is the cluster up? (make status)' };
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return { token: body.token, username: body.username, expiresAt: body.expiresAt, demo: true };
  const reason = String(body.error?.message ?? response.statusText);
  if (response.status === 404) {
    return { kind: 'no-demo', message: 'This server does not give out demo tokens (DEMO is off).' };
  }
  if (response.status === 429) {
    const seconds = Number(response.headers.get('retry-after')) || 10;
    return { kind: 'busy', message: `Too many people are signing in. Try again in ${seconds} s.` };
  }
  if (response.status < 500) return { kind: 'name', message: `This name cannot be used: ${reason}.` };
  return {
    kind: 'unavailable',
    message: `The server cannot help right now (${response.status}). Try again in a moment.`,
  };
}

/** Reads who a token speaks for; whether it is accepted is the server's to say. */
export function signInByToken(text: string): Session | SignInProblem {
  const token = text.trim();
  if (token === '') return { kind: 'token', message: 'Please paste a token.' };
  const [, payload] = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(token) ?? [];
  try {
    const bytes = Uint8Array.from(atob((payload ?? '!').replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    const expiresAt = Number(claims.exp) * 1_000;
    if (!(expiresAt > Date.now())) return { kind: 'token', message: 'This token has expired. Make a new one.' };
    return { token, username: String(claims.name ?? claims.sub), expiresAt, demo: false };
  } catch {
    return { kind: 'token', message: 'This is not a token: three parts with dots between them are expected.' };
  }
}

/** The client's token provider. */
export interface SessionTokens {
  /** @returns undefined when the session cannot go on: sign in again. @throws when the server cannot be asked now */
  provide(): Promise<string | undefined>;
  /** The token that was given last may be why the handshake failed; browsers do not say. */
  doubt(): void;
}

export function createSessionTokens(session: Session): SessionTokens {
  let current = session;
  let doubted = false;
  return {
    async provide() {
      const left = current.expiresAt - Date.now();
      if (!current.demo) return left > 0 ? current.token : undefined;
      if (left > RENEW_BEFORE && !doubted) return current.token;
      const outcome = await signInByName(current.username);
      if ('token' in outcome) {
        current = outcome;
        doubted = false;
        saveSession(current);
        return current.token;
      }
      if (outcome.kind === 'busy' || outcome.kind === 'unavailable') throw new Error(outcome.message);
      return undefined;
    },
    doubt() {
      doubted = true;
    },
  };
}
