import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    reporters: ['default', './.ci/summary-reporter.ts'],
    // Suites that start whole clusters or a browser run alone: they share the machine's ports, engine and cores.
    projects: [
      {
        test: {
          name: 'app',
          include: [
            'app/test/**/*.test.ts',
            'app/client/test/**/*.test.ts',
            'loadtest/test/report.test.ts',
            '.ci/*.test.ts',
          ],
          exclude: ['app/test/browser.test.ts', 'app/test/faults/**'],
          testTimeout: 20_000,
          hookTimeout: 20_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['app/test/browser.test.ts', 'deploy/test/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'loadtest',
          include: ['loadtest/test/**/*.test.ts'],
          exclude: ['loadtest/test/report.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: 'faults',
          include: ['app/test/faults/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
