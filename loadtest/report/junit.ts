/** A run as JUnit XML, for pipelines: each threshold is a test case. */
import { markup } from './markup.ts';
import type { Result } from './result.ts';
import { summary } from './summary.ts';
import { plain } from './terminal.ts';
import { reason, thresholdValue } from './verdict.ts';

/** @returns one XML document; it has a failure or an error if, and only if, the verdict is FAIL */
export function junitReport(result: Result): string {
  const { script, seconds, startedAt, thresholds, verdict, problem } = result;
  const name = `loadtest.${script}`;
  const failures = thresholds.filter(({ ok }) => !ok).length;
  // An exception, a restart that failed, or a server that counts otherwise than the clients, fails a run whose thresholds held.
  const errors = verdict === 'FAIL' && (failures === 0 || problem !== '') ? 1 : 0;
  const cases = thresholds.map((each) => {
    const wanted = `${each.metric}: ${each.expression}`;
    const value = thresholdValue(result, each);
    return markup`    <testcase classname="${name}" name="${wanted}" time="0">${!each.ok && markup`<failure type="threshold" message="${each.metric} was ${value}, wanted ${each.expression}">${value}</failure>`}</testcase>\n`;
  });
  const counted = markup`tests="${thresholds.length + 1}" failures="${failures}" errors="${errors}" time="${seconds}"`;
  return markup`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="wsfleet loadtest" ${counted}>
  <testsuite name="${name}" ${counted} skipped="0" timestamp="${new Date(startedAt).toISOString().slice(0, 19)}">
    <testcase classname="${name}" name="the run ended as it should" time="${seconds}">${errors > 0 && markup`<error type="run" message="${reason(result)}">exit code ${result.exitCode}</error>`}</testcase>
${cases}    <system-out>${summary(result, plain)}</system-out>
  </testsuite>
</testsuites>
`.text;
}
