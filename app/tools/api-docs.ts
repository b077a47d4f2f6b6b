/** Writes docs/openapi.yaml from the schemas of the server API: npm run api-docs */
import { writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import packageJson from '../package.json' with { type: 'json' };
import { createConnectionOperations } from '../src/http/api/connections.ts';
import { describeApi } from '../src/http/api/openapi.ts';
import { createPublishOperations } from '../src/http/api/publish.ts';
import { createRoomOperations } from '../src/http/api/rooms.ts';

export const file = new URL('../../docs/openapi.yaml', import.meta.url);

/** What the operations need to answer does not matter here. */
const none = undefined as never;

export async function renderApi(): Promise<string> {
  const operations = [
    ...createPublishOperations({ publisher: none, instanceId: '', maxContentLength: 0 }),
    ...createRoomOperations({ broker: none, presenceEvents: none }),
    ...createConnectionOperations({ fleet: none }),
  ];
  const head = '# Made from app/src/http/api by `npm run api-docs`. A test fails when the two differ.\n';
  return (
    head + stringify(await describeApi(operations, packageJson.version), { lineWidth: 0, aliasDuplicateObjects: false })
  );
}

if (import.meta.main) writeFileSync(file, await renderApi());
