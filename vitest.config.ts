import { defineConfig } from 'vitest/config';

/** What a test waits for is there well before this: see app/test/harness/process.ts. */
const expects = { expect: { poll: { timeout: 8000 } } };
const patient = { ...expects, testTimeout: 180_000, hookTimeout: 300_000 };
/** Whole clusters, browsers and load: each file has ports, folders and names of its own. */
const heavy = { ...patient, maxWorkers: 2, maxConcurrency: 3, sequence: { groupOrder: 1 } };

export default defineConfig({
  test: {
    reporters: ['default', './.ci/summary-reporter.ts'],
    globalSetup: './.ci/build-pages.ts',
    projects: [
      {
        test: {
          name: 'app',
          include: ['app/test/**/*.test.ts', 'app/client/test/**/*.test.ts'],
          exclude: ['app/test/browser/**', 'app/test/faults/**', 'app/test/bench/**'],
          ...expects,
          testTimeout: 20_000,
          hookTimeout: 20_000,
          // They mostly wait.
          maxWorkers: 4,
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['app/test/browser/**/*.test.ts', 'deploy/test/**/*.test.ts', '.ci/*.test.ts'],
          exclude: ['deploy/test/cluster/compose*'],
          ...heavy,
        },
      },
      { test: { name: 'faults', include: ['app/test/faults/**/*.test.ts'], ...heavy } },
      {
        test: {
          name: 'loadtest',
          include: ['loadtest/test/**/*.test.ts', 'app/test/bench/**/*.test.ts'],
          ...heavy,
        },
      },
      {
        test: {
          name: 'compose',
          include: ['deploy/test/cluster/compose*.test.ts'],
          ...patient,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
