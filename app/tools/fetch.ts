/**
 * GETs a URL, or POSTs the JSON that is given, and prints the body: node app/tools/fetch.ts URL [JSON]. Exits 0 on 2xx.
 * The image's health check, and how the cluster commands talk to an instance.
 */
const DEADLINE_MS = 3000;

const [url, json] = process.argv.slice(2);
if (!url) {
  console.error('usage: fetch.ts URL [JSON]');
  process.exit(64);
}
try {
  const response = await fetch(url, {
    ...(json !== undefined && { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: json }),
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  console.log((await response.text()).trimEnd());
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  console.error(
    `${url}: ${error instanceof Error ? ((error.cause as Error | undefined)?.message ?? error.message) : error}`,
  );
  process.exitCode = 1;
}
