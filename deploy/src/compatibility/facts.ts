/**
 * What users may rely on, as plain facts: name -> value. A fact that is gone or has another value breaks them; a new one does not, unless
 * its name begins with `requires`: then users must do something that they need not do before.
 */
export type Facts = Readonly<Record<string, string>>;

const REQUIRED = 'requires ';

/** The sentences that say what a change breaks, in the order of the facts' names. Pure. */
export function breaks(released: Facts, current: Facts): string[] {
  const found: string[] = [];
  for (const [name, value] of Object.entries(released)) {
    if (name.startsWith(REQUIRED)) continue;
    const now = current[name];
    if (now === undefined) found.push(`${name} is gone (it was ${value || 'there'})`);
    else if (now !== value) found.push(`${name} is ${now}; it was ${value}`);
  }
  for (const [name, value] of Object.entries(current)) {
    if (!name.startsWith(REQUIRED) || released[name] !== undefined) continue;
    // What belongs to something new asks nothing of anyone who uses what there was.
    const of = name.slice(REQUIRED.length).split(' | ')[0] ?? '';
    if (Object.keys(released).some((other) => other === of || other.startsWith(`${of} | `)))
      found.push(`${name} is new${value === '' ? '' : ` (${value})`}`);
  }
  return found.sort();
}

/** Facts in the order of their names, for a file that can be compared line by line. */
export function sortedFacts(facts: Facts): Facts {
  return Object.fromEntries(Object.entries(facts).sort(([a], [b]) => (a < b ? -1 : 1)));
}
