/** What the vectors of docs/conformance have in common: patterns with variables. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Values of variables, by name with its `$`. */
export type Variables = Map<string, Json>;

/** The value that a pattern stands for, as far as its variables are known. */
export function fill(pattern: Json, variables: Variables): Json {
  if (typeof pattern === 'string') return variables.get(pattern) ?? pattern;
  if (Array.isArray(pattern)) return pattern.map((each) => fill(each, variables));
  if (typeof pattern !== 'object' || pattern === null) return pattern;
  return Object.fromEntries(
    Object.entries(pattern).map(([key, value]) => [String(variables.get(key) ?? key), fill(value, variables)]),
  );
}

/** Whether a value fits a pattern, whose unknown variables it then gives a value. Objects may have more fields. */
export function fits(pattern: Json, value: unknown, variables: Variables): boolean {
  if (typeof pattern === 'string' && pattern.startsWith('$')) {
    if (!variables.has(pattern)) variables.set(pattern, value as Json);
    return variables.get(pattern) === value;
  }
  if (Array.isArray(pattern)) {
    if (!Array.isArray(value) || value.length !== pattern.length) return false;
    return pattern.every((each, index) => fits(each, value[index], variables));
  }
  if (typeof pattern !== 'object' || pattern === null) return pattern === value;
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(pattern).every(([key, each]) => fits(each, (value as Record<string, unknown>)[key], variables));
}
