/**
 * Prints when a certificate (PEM, on standard input) ends, in seconds since the epoch; of a chain the first to end.
 *   node app/tools/certificate-end.ts <cert.pem
 */
import { X509Certificate } from 'node:crypto';
import { text } from 'node:stream/consumers';

export function certificateEnd(pem: string): number {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  const ends = blocks.map((block) => Date.parse(new X509Certificate(block).validTo) / 1000);
  if (ends.length === 0) throw new Error('there is no certificate');
  return Math.min(...ends);
}

if (import.meta.main) console.log(certificateEnd(await text(process.stdin)));
