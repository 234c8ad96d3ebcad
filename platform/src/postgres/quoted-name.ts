/** Quotes the name of a table or column for SQL; `a.b` becomes "a"."b". */
export function quotedName(name: string): string {
  return name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.');
}
