/** `k6/encoding`: b64encode. */
export function b64encode(input: string, variant = 'std'): string {
  const url = variant === 'url' || variant === 'rawurl';
  const text = Buffer.from(input).toString(url ? 'base64url' : 'base64');
  if (variant === 'rawstd' || variant === 'rawurl') return text.replaceAll('=', '');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

export default { b64encode };
