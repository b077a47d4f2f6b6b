/** GETs a URL and prints the body; exits 0 on 2xx. The image's health check, and how the cluster commands ask an instance. */
const DEADLINE_MS = 3000;

const url = process.argv[2];
if (!url) {
  console.error('usage: get.ts URL');
  process.exit(64);
}
try {
  const response = await fetch(url, { signal: AbortSignal.timeout(DEADLINE_MS) });
  console.log((await response.text()).trimEnd());
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  console.error(
    `${url}: ${error instanceof Error ? ((error.cause as Error | undefined)?.message ?? error.message) : error}`,
  );
  process.exitCode = 1;
}
