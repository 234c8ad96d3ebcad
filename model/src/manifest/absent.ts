/** Texts that stand for a missing value in files. */
const ABSENT: ReadonlySet<string> = new Set(['', 'NA', 'N/A', 'NaN', 'nan', 'null', 'NULL', 'None', '?']);

export function isAbsent(text: string): boolean {
  return ABSENT.has(text.trim());
}
