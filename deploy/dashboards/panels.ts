/** The one list of panels. Grafana's dashboards and the console page are made from it: `make dashboards`. */
import type { Dashboard } from './panel.ts';
import { deploy } from './panels/deploy.ts';
import { instance } from './panels/instance.ts';
import { overview } from './panels/overview.ts';
import { parts } from './panels/parts.ts';

export const dashboards: readonly Dashboard[] = [overview, deploy, instance, parts];
