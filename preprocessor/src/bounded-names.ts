/**
 * Maximum number of callers with their own label. API keys are few, but with a token per user there must not be a
 * label per user.
 */
export const MOST_CALLERS = 50;

/** Returns the name itself for the first `most` names, `other` for the rest. */
export function boundedNames(most: number): (name: string) => string {
  const known = new Set<string>();
  return (name) => {
    if (known.has(name)) return name;
    if (known.size >= most) return 'other';
    known.add(name);
    return name;
  };
}
