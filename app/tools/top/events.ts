/** What happened to the cluster, out of the logs of its instances and the states of its parts. */
import { details, type Level, type LogLine, parseLogLine } from '../lib/log-line.ts';

/** Too many to look at one by one; the table counts them. */
const perConnection = new Set(['connected', 'disconnected', 'handshake_refused']);
const MAX_EVENTS = 200;

export interface Event {
  at: number;
  part: string;
  level: Level;
  text: string;
  /** How often in a row. */
  count: number;
}

export interface Events {
  /** A line `PART | LINE`; those that are no event, or were taken before, are left out. */
  takeLog(line: string): void;
  add(event: Omit<Event, 'count'>): void;
  /** The last so many, oldest first. */
  last(count: number): readonly Event[];
}

export function createEvents(): Events {
  let events: Event[] = [];
  const taken = new Set<string>();

  function add(event: Omit<Event, 'count'>): void {
    const index = events.findLastIndex(({ at }) => at <= event.at);
    const before = events[index];
    if (before && before.part === event.part && before.text === event.text) {
      before.count += 1;
      before.at = event.at;
      return;
    }
    events.splice(index + 1, 0, { ...event, count: 1 });
    events = events.slice(-MAX_EVENTS);
  }

  return {
    add,
    last: (count) => (count > 0 ? events.slice(-count) : []),
    takeLog(text) {
      const line = parseLogLine(text);
      if (!line?.time || !isEvent(line) || taken.has(text)) return;
      taken.add(text);
      const [oldest] = taken;
      if (taken.size > MAX_EVENTS && oldest !== undefined) taken.delete(oldest);
      const more = line.level === 'info' || line.level === 'warn' ? details(line.fields) : reasonOf(line);
      add({ at: line.time, part: line.part, level: line.level ?? 'info', text: `${line.text} ${more}`.trimEnd() });
    },
  };
}

function isEvent({ level, fields }: LogLine): boolean {
  const { event } = fields;
  return typeof event === 'string' && level !== 'debug' && level !== 'trace' && !perConnection.has(event);
}

const reasonOf = ({ fields }: LogLine) => details({ reason: (fields['err'] as { message?: unknown })?.message ?? '-' });
