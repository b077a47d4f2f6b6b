/** `k6/crypto`: hmac. */
import { createHmac } from 'node:crypto';

const encodings = { hex: 'hex', base64: 'base64', base64url: 'base64url', base64rawurl: 'base64url' } as const;

export function hmac(algorithm: string, secret: string, input: string, output: string): string {
  const encoding = encodings[output as keyof typeof encodings];
  if (encoding === undefined) throw new Error(`the Node runner does not have hmac's output ${output}`);
  const text = createHmac(algorithm, secret).update(input).digest(encoding);
  // Go's base64url is padded, Node's is not.
  return output === 'base64url' ? text.padEnd(Math.ceil(text.length / 4) * 4, '=') : text;
}

export default { hmac };
