/** Planes that Unicode has characters in; the others are empty or private. */
const PLANES = [
  [0, 0x3ffff],
  [0xe0000, 0xe0fff],
] as const;
const SURROGATES = [0xd800, 0xdfff] as const;

/**
 * What the plan's rules for text say of single characters, written as character classes of RE2 (without brackets), which is what
 * ONNX Runtime's operators take. Every character is named by its number, so the answer does not depend on the Unicode version of the
 * runtime.
 */
export interface CharacterClasses {
  /** Letters, digits and _. */
  readonly word: string;
  /** Characters that lower case changes, and into what, in the same order. */
  readonly upper: string;
  readonly upperTexts: readonly string[];
  readonly lowerTexts: readonly string[];
  /** Of the rule for a final sigma (Unicode, SpecialCasing). */
  readonly cased: string;
  readonly ignorable: string;
}

let known: CharacterClasses | undefined;

/** Read from JavaScript's own tables, the first time only: it looks at 260,000 characters. */
export function characterClasses(): CharacterClasses {
  known ??= readClasses();
  return known;
}

function readClasses(): CharacterClasses {
  const word = new Ranges();
  const upper = new Ranges();
  const cased = new Ranges();
  const ignorable = new Ranges();
  const upperTexts: string[] = [];
  const lowerTexts: string[] = [];
  for (const [first, last] of PLANES)
    for (let point = first; point <= last; point++) {
      if (point >= SURROGATES[0] && point <= SURROGATES[1]) continue;
      const character = String.fromCodePoint(point);
      if (/[\p{L}\p{N}_]/u.test(character)) word.add(point);
      const isIgnorable = /\p{Case_Ignorable}/u.test(character);
      if (isIgnorable) ignorable.add(point);
      else if (/\p{Cased}/u.test(character)) cased.add(point);
      const lower = character.toLowerCase();
      if (lower === character) continue;
      upper.add(point);
      upperTexts.push(character);
      lowerTexts.push(lower);
    }
  return {
    ...{ word: String(word), upper: String(upper), cased: String(cased), ignorable: String(ignorable) },
    ...{ upperTexts, lowerTexts },
  };
}

/** Ascending numbers as ranges. */
class Ranges {
  readonly #ranges: [number, number][] = [];

  add(point: number): void {
    const last = this.#ranges.at(-1);
    if (last?.[1] === point - 1) last[1] = point;
    else this.#ranges.push([point, point]);
  }

  toString(): string {
    const written = (point: number) => `\\x{${point.toString(16)}}`;
    return this.#ranges
      .map(([first, last]) => (first === last ? written(first) : `${written(first)}-${written(last)}`))
      .join('');
  }
}
