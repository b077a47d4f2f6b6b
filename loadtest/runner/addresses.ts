/**
 * Source addresses as k6's `--local-ips` takes them: a comma-separated list of addresses and ranges, one for each virtual
 * user in turn.
 */

/** @throws {Error} */
export function parseAddresses(text: string): string[] {
  return text
    .split(',')
    .filter((item) => item !== '')
    .flatMap((item) => {
      const [from, to = from] = item.split('-').map(toNumber) as [number, number?];
      if (to < from) throw new Error(`${item}: expected an address or a range of addresses`);
      return Array.from({ length: to - from + 1 }, (_, index) => toText(from + index));
    });
}

function toNumber(address: string): number {
  const bytes = address.split('.').map(Number);
  if (bytes.length !== 4 || bytes.some((byte) => !(Number.isInteger(byte) && byte >= 0 && byte <= 255))) {
    throw new Error(`${address}: expected an IPv4 address`);
  }
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

const toText = (number: number): string => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');
