/**
 * Generates deploy/dashboards/generated from the list of panels: `npm run dashboards`. Grafana's dashboards, and the
 * console page that Prometheus serves.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { buildConsole } from './console.ts';
import { buildDashboard } from './grafana.ts';
import { dashboards } from './panels.ts';

export const root = resolve(import.meta.dirname, '../..');
export const GRAFANA = 'deploy/dashboards/generated/grafana';
export const CONSOLE = 'deploy/dashboards/generated/console/wsfleet.html';

/** All that is made, by its path in the repository. */
export async function makeAll(): Promise<Record<string, string>> {
  const grafana = dashboards.map((dashboard) => [
    `${GRAFANA}/${dashboard.id}.json`,
    `${JSON.stringify(buildDashboard(dashboard), undefined, 2)}\n`,
  ]);
  return { ...Object.fromEntries(grafana), [CONSOLE]: await buildConsole() };
}

if (import.meta.main) {
  const files = await makeAll();
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    console.log(path);
  }
  // A dashboard that is no longer in the list.
  for (const name of readdirSync(join(root, GRAFANA))) {
    if (!(`${GRAFANA}/${name}` in files)) rmSync(join(root, GRAFANA, name));
  }
}
