/** Maximum number of edits between a wrong name and a suggestion. */
const MOST_EDITS = 3;
const LONGEST = 80;

/**
 * The known name that is most similar to an unknown one: at most three edits, and fewer than half its letters. Pure.
 */
export function nearestName(unknown: string, known: Iterable<string>): string | undefined {
  if (unknown.length === 0 || unknown.length > LONGEST) return undefined;
  let best: string | undefined;
  let fewest = Math.min(MOST_EDITS, Math.floor(unknown.length / 2)) + 1;
  for (const name of known) {
    if (Math.abs(name.length - unknown.length) >= fewest) continue;
    const edits = editDistance(unknown, name);
    if (edits < fewest) [best, fewest] = [name, edits];
  }
  return best;
}

/** `; did you mean NAME?`, or empty if no known name is similar. */
export function didYouMean(unknown: string, known: Iterable<string>): string {
  const name = nearestName(unknown, known);
  return name === undefined ? '' : `; did you mean ${name}?`;
}

/**
 * Optimal string alignment: insertions, deletions, substitutions, and swaps of neighbouring letters count as one
 * each.
 */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let edits = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, substituted);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        edits = Math.min(edits, (before[j - 2] ?? 0) + 1);
      row.push(edits);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length] ?? 0;
}
