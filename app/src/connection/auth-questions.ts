/** What `AUTH_URL` is asked: who connects, and whether a user may join or publish. */
export const authQuestions = ['connect', 'join', 'publish'] as const;
export type AuthQuestion = (typeof authQuestions)[number];

/** `AUTH_URL` did not answer, or not as it should. */
export class AuthUnavailable extends Error {
  override readonly name = 'AuthUnavailable';
}
