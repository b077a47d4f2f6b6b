/**
 * The report of a run: `node loadtest/report/main.ts RESULT.json [--junit]`. Prints the summary and writes RESULT.html, and RESULT.xml with --junit, beside it. Exits
 * 0 whatever the verdict, which is the runner's to tell, 1 when there is no result to report, 64 when it was called wrongly.
 */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { htmlReport } from './html.ts';
import { junitReport } from './junit.ts';
import { ResultError, readResult } from './result.ts';
import { summary } from './summary.ts';
import { paintFor } from './terminal.ts';

/** sysexits.h: the command was used incorrectly. */
const EX_USAGE = 64;

function readArguments(): { file: string; junit: boolean } {
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { junit: { type: 'boolean' } } });
    const [file, ...others] = positionals;
    if (file && others.length === 0) return { file, junit: values.junit ?? false };
  } catch (error) {
    console.error((error as Error).message);
  }
  console.error('Usage: node loadtest/report/main.ts RESULT.json [--junit]');
  process.exit(EX_USAGE);
}

const { file, junit } = readArguments();
try {
  const result = readResult(file);
  const written = write('html', htmlReport(result));
  const forPipelines = junit ? [`  JUnit   ${write('xml', junitReport(result))}`] : [];
  console.log(
    ['', summary(result, paintFor(process.stdout, process.env)), '', `  Report  ${written}`, ...forPipelines, ''].join(
      '\n',
    ),
  );
} catch (error) {
  if (!(error instanceof ResultError)) throw error;
  console.error(error.message);
  process.exit(1);
}

/** @returns where it is, for people */
function write(extension: string, content: string): string {
  const path = `${file.replace(/\.json$/, '')}.${extension}`;
  writeFileSync(path, content);
  return relative('', path);
}
