/** Generated files: templates filled in as the official nginx image does it, written only where they changed. */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** Replaces `${NAME}` for the names that are defined; everything else, nginx's own `$variables` too, stays as it is. */
export function fillIn(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (whole, name: string) => values[name] ?? whole);
}

/** Copies a folder; of a `NAME.template` the filled-in text becomes `NAME`. */
export function writeFolder(from: string, to: string, values: Readonly<Record<string, string>> = {}): void {
  for (const source of filesIn(from)) {
    const target = join(to, relative(from, source));
    const text = readFileSync(source, 'utf8');
    if (source.endsWith('.template')) writeChanged(target.slice(0, -'.template'.length), fillIn(text, values));
    else writeChanged(target, text);
  }
}

export function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Writes a file in one step, so that a reader sees the old text or the new; not at all when it says the same already. */
export function writeChanged(file: string, text: string, mode = 0o644): void {
  try {
    if (readFileSync(file, 'utf8') === text) return;
  } catch {
    mkdirSync(dirname(file), { recursive: true });
  }
  writeFileSync(`${file}.new`, text, { mode });
  renameSync(`${file}.new`, file);
}
