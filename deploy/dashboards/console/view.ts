/** What is looked at: kept in the URL, so that a view can be sent to somebody. */
import type { Dashboard } from '../panel.ts';

export interface View {
  dashboard: string;
  /** Seconds that are shown. */
  range: number;
  /** When what is shown ends, in seconds since the epoch; undefined: now. */
  until: number | undefined;
  /** Seconds between two refreshes; 0 for none. */
  refresh: number;
  /** The instance that is looked at in depth; empty for the first there is. */
  instance: string;
}

export const RANGES = [
  { seconds: 900, name: '15m' },
  { seconds: 3600, name: '1h' },
  { seconds: 6 * 3600, name: '6h' },
  { seconds: 24 * 3600, name: '24h' },
  { seconds: 7 * 24 * 3600, name: '7d' },
] as const;
export const REFRESHES = [0, 5, 15, 60] as const;
const SHORTEST = 60;

/** Of whatever somebody wrote, what makes sense. */
export function readView(hash: string, dashboards: readonly Dashboard[]): View {
  const [dashboard = '', search = ''] = hash.replace(/^#/, '').split('?');
  const parameters = new URLSearchParams(search);
  const number = (name: string) => Number(parameters.get(name) ?? Number.NaN);
  const refresh = number('refresh');
  return {
    dashboard: dashboards.find(({ id }) => id === dashboard)?.id ?? dashboards[0]?.id ?? '',
    range: number('range') >= SHORTEST ? number('range') : RANGES[0].seconds,
    until: number('until') > 0 ? number('until') : undefined,
    refresh: REFRESHES.find((each) => each === refresh) ?? 5,
    instance: parameters.get('instance') ?? '',
  };
}

export function writeView({ dashboard, range, until, refresh, instance }: View): string {
  const parameters = new URLSearchParams({ range: String(range), refresh: String(refresh) });
  if (until !== undefined) parameters.set('until', String(until));
  if (instance) parameters.set('instance', instance);
  return `#${dashboard}?${parameters}`;
}
