/** The value below which a share `p` (0 to 1) lies, by linear interpolation at p * (n - 1). @param sorted ascending */
export function percentile(sorted: readonly number[], p: number): number {
  const at = p * (sorted.length - 1);
  const below = sorted[Math.floor(at)] ?? 0;
  return below + (at % 1) * ((sorted[Math.ceil(at)] ?? below) - below);
}
