import { defineConfig } from 'vitest/config';

/** Tests mostly wait, for processes and for time: twice as many files at once as the machine has cores keep it busy. */
const maxWorkers = 4;

const patient = { testTimeout: 180_000, hookTimeout: 300_000 };

export default defineConfig({
  test: {
    reporters: ['default', './.ci/summary-reporter.ts'],
    globalSetup: './.ci/build-pages.ts',
    maxWorkers,
    // Each file that starts a cluster has ports, folders and names of its own.
    projects: [
      {
        test: {
          name: 'app',
          include: ['app/test/**/*.test.ts', 'app/client/test/**/*.test.ts'],
          exclude: ['app/test/browser/**', 'app/test/faults/**'],
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['app/test/browser/**/*.test.ts', 'deploy/test/**/*.test.ts', '.ci/*.test.ts'],
          ...patient,
        },
      },
      { test: { name: 'loadtest', include: ['loadtest/test/**/*.test.ts'], ...patient } },
      { test: { name: 'faults', include: ['app/test/faults/**/*.test.ts'], ...patient } },
    ],
  },
});
