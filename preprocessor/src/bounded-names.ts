/** Callers hold keys, of which there are few; a token for each user must not become a label for each. */
export const MOST_CALLERS = 50;

/** The name itself for the first `most` names, `other` for the rest. */
export function boundedNames(most: number): (name: string) => string {
  const known = new Set<string>();
  return (name) => {
    if (known.has(name)) return name;
    if (known.size >= most) return 'other';
    known.add(name);
    return name;
  };
}
