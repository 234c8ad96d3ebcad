/**
 * What users may rely on, as plain facts: name -> value. Removing or changing a fact breaks users; adding one does
 * not, unless its name starts with `requires`: then users must do something new.
 */
export type Facts = Readonly<Record<string, string>>;

const REQUIRED = 'requires ';

/** One sentence per breaking change, in the order of the facts' names. Pure. */
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
    // A requirement of something new does not affect users of what existed before.
    if (hadParent(released, name.slice(REQUIRED.length)))
      found.push(`${name} is new${value === '' ? '' : ` (${value})`}`);
  }
  return found.sort();
}

/** Whether the parent of a field existed: the enclosing field, or else the message, operation or declaration. */
function hadParent(released: Facts, name: string): boolean {
  const [of = '', path = ''] = name.split(' | ');
  // The part before the last space is the part of an operation, such as `takes application/json`.
  const field = path.slice(path.lastIndexOf(' ') + 1);
  const part = path.slice(0, path.length - field.length);
  const around = field.includes('.') ? field.slice(0, field.lastIndexOf('.')).replace(/(\[\])+$/, '') : '';
  if (around !== '') return released[`${of} | ${part}${around}`] !== undefined;
  return Object.keys(released).some((other) => other === of || other.startsWith(`${of} | `));
}

/** Facts sorted by name, for a file that can be compared line by line. */
export function sortedFacts(facts: Facts): Facts {
  return Object.fromEntries(Object.entries(facts).sort(([a], [b]) => (a < b ? -1 : 1)));
}
