/**
 * The cluster live on a terminal: node app/tools/top.ts [--once] [--color]. top.sh holds the terminal (keys, size, screen)
 * and feeds standard input; this draws on standard output until that ends. Lines of the input:
 *   size ROWS COLUMNS
 *   states NAME,STATE,ID,UPTIME,URL ...    every known part, as the driver sees it
 *   PART | LINE                            what an instance wrote
 * With --once: reads the input to its end, and prints one table.
 */
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createEvents } from './top/events.ts';
import { createEventLine, createFrame, createHead, createTable, type InstanceView, type View } from './top/frame.ts';
import { createSampler, type Sampler } from './top/sample.ts';
import { createScreen, render } from './top/screen.ts';

const FRAME_MS = 1000;
/** With --once: what is counted between two looks needs some time to happen. */
const ONCE_MS = 5_200;
const ONCE_COLUMNS = 80;
const ONCE_EVENTS = 8;

const { values } = parseArgs({
  options: { once: { type: 'boolean', default: false }, color: { type: 'boolean', default: false } },
});
const events = createEvents();
const screen = createScreen({ color: values.color, write: (text) => process.stdout.write(text) });

interface Known extends InstanceView {
  url: string;
  sampler: Sampler;
}
const instances = new Map<string, Known>();
let parts: { name: string; state: string }[] = [];

function takeStates(rows: readonly string[]): void {
  const states = rows.map((row) => {
    const [name = '', state = '', , , url = ''] = row.split(',');
    return { name, state, url };
  });
  for (const { name, state } of states) {
    const before = instances.get(name)?.state ?? parts.find((part) => part.name === name)?.state;
    if (before === undefined || before === state) continue;
    events.add({ at: Date.now(), part: name, level: state === 'running' ? 'info' : 'error', text: `is ${state}` });
  }
  parts = states.filter(({ name }) => !name.startsWith('app'));
  const apps = states.filter(({ name }) => name.startsWith('app'));
  for (const name of instances.keys()) if (!apps.some((app) => app.name === name)) instances.delete(name);
  for (const { name, state, url } of apps) {
    const known = instances.get(name) ?? { name, sampler: createSampler(), sample: undefined, sentAway: 0 };
    instances.set(name, { ...known, state, url });
  }
}

function takeLine(line: string): void {
  const [word, ...rest] = line.split(' ');
  if (word === 'size') screen.resize(Number(rest[0]), Number(rest[1]));
  else if (word === 'states') takeStates(rest.filter(Boolean));
  else events.takeLog(line);
}

async function look(): Promise<View> {
  await Promise.all(
    [...instances.values()].map(async (instance) => {
      const sample = await instance.sampler.sample(instance.url);
      // The driver may have said something meanwhile.
      const known = instances.get(instance.name);
      if (!known) return;
      known.sample = sample;
      const leaving = sample?.status.leaving ?? 0;
      known.sentAway = leaving > 0 ? Math.max(known.sentAway, leaving) : 0;
    }),
  );
  return { at: Date.now(), instances: [...instances.values()], parts };
}

const input = createInterface({ input: process.stdin }).on('line', takeLine);
process.stdout.on('error', () => process.exit(0));

if (values.once) {
  await new Promise((resolve) => input.on('close', resolve));
  await look();
  await delay(ONCE_MS);
  const view = await look();
  const lines = [...createHead(view), ...createTable(view), [], ...events.last(ONCE_EVENTS).map(createEventLine)];
  console.log(lines.map((line) => render(line, ONCE_COLUMNS, values.color)).join('\n'));
} else {
  // The shell that holds the terminal ends this by ending the input: it still has to put the screen back.
  input.on('close', () => process.exit(0));
  for (;;) {
    const next = delay(FRAME_MS);
    const view = await look();
    if (parts.length > 0) screen.draw(createFrame(view, screen.rows, events.last));
    await next;
  }
}
