const IDENTIFIER = /^[A-Za-z_]\w{0,62}$/;
const MOST_CHARACTERS = 58;

/**
 * Names that fields of a request may have, for the columns of a file: the title where it may be one, otherwise its letters, digits and
 * `_`, each name once. Pure: drafts, training sets and requests agree by it.
 */
export function fieldNames(titles: readonly string[]): readonly string[] {
  const taken = new Set(titles.filter((title) => IDENTIFIER.test(title)));
  return titles.map((title, index) => {
    if (IDENTIFIER.test(title)) return title;
    const plain =
      title
        .replace(/[^A-Za-z0-9_]+/g, '_')
        .replace(/^_+|_+$/g, '')
        .replace(/^(?=[0-9])/, '_')
        .slice(0, MOST_CHARACTERS) || `column_${index + 1}`;
    let name = plain;
    for (let number = 2; taken.has(name); number++) name = `${plain}_${number}`;
    taken.add(name);
    return name;
  });
}
