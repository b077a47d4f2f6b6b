/** The console page, from the list of panels, the sources in console/ and uPlot: one file that asks for nothing else. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

const root = resolve(import.meta.dirname, '../..');
const uplot = (file: string) =>
  readFileSync(createRequire(import.meta.url).resolve(`uplot/dist/${file}`), 'utf8').trim();
const source = (file: string) => readFileSync(join(import.meta.dirname, 'console', file), 'utf8').trim();

const NOTE =
  'Generated from deploy/dashboards by `make dashboards`: do not edit. Prometheus serves it at /consoles/wsfleet.html.';

export async function buildConsole(): Promise<string> {
  const icon = readFileSync(join(root, 'app/public/icon.svg'), 'utf8').replaceAll(/\s*\n\s*/g, '');
  const inlined: Record<string, string> = {
    'href="icon.svg"': `href="data:image/svg+xml,${encodeURIComponent(icon)}"`,
    'src="icon.svg"': `src="data:image/svg+xml,${encodeURIComponent(icon)}"`,
    '<link rel="stylesheet" href="style.css">': `<style>\n${uplot('uPlot.min.css')}\n${source('style.css')}\n</style>`,
    '<script src="uPlot"></script>': `<script>\n${uplot('uPlot.iife.min.js')}\n</script>`,
    '<script src="main.ts"></script>': `<script>\n${await bundle()}\n</script>`,
  };
  let page = `${source('page.html')}\n`;
  for (const [reference, content] of Object.entries(inlined)) page = page.replace(reference, () => content);
  return `{{/* ${NOTE} */}}${verbatim(page)}`;
}

async function bundle(): Promise<string> {
  const build = await rolldown({
    input: join(import.meta.dirname, 'console/main.ts'),
    external: ['uplot'],
    cwd: root,
    tsconfig: false,
  });
  try {
    const { output } = await build.generate({ format: 'iife', globals: { uplot: 'uPlot' }, comments: false });
    const code = output[0].code.trim();
    if (code.includes('</script')) throw new Error('the script contains </script and would end its own element');
    return code;
  } finally {
    await build.close();
  }
}

/**
 * The text as a Go template that yields exactly this. Prometheus takes consoles for html/template, which would read the
 * script as JavaScript of its own understanding and take comments out of it; so all of it is in raw strings, which
 * hold everything but a backtick.
 */
function verbatim(text: string): string {
  const quoted = text.split('`').map((part) => `{{safeHtml \`${part}\`}}`);
  return `{{$backtick := safeHtml "\`"}}${quoted.join('{{$backtick}}')}`;
}
