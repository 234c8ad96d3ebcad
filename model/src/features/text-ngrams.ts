import { bucketOfHash, murmur3Bytes } from './murmur3.ts';

export interface TextSettings {
  /** Shortest and longest n-gram, in words. */
  readonly shortest: number;
  readonly longest: number;
  readonly buckets: number;
  readonly lowercase: boolean;
  readonly alternateSign: boolean;
}

export interface Touched {
  /** Columns that were changed, each once; only the first `count` entries are valid, until the next call. */
  columns: Int32Array;
  count: number;
}

/** Whether a character is part of a word (Python's \w: letters, digits and _), cached; 0: not known yet. */
const OTHER = 1;
const WORD = 2;
const kinds = new Uint8Array(0x10000);
const IS_WORD = /[\p{L}\p{N}_]/u;

// Reused between calls, which is safe because a call never waits.
let bytes = new Uint8Array(4096);
let starts = new Int32Array(256);
let ends = new Int32Array(256);
/** The number of the last text that changed each column, so that each column is listed once. */
let stamps = new Uint32Array(4096);
let stamp = 0;
const touched: Touched = { columns: new Int32Array(1024), count: 0 };

/**
 * Adds the hashed n-grams of a text to columns `out[at]` to `out[at + buckets - 1]`, like scikit-learn's
 * HashingVectorizer before its norm, with token_pattern (?u)\b\w\w+\b and analyzer word. The words are written into a
 * buffer, separated by spaces, so that every n-gram is a slice of it.
 */
export function addNgrams(text: string, settings: TextSettings, out: Float32Array, at: number): Touched {
  const { shortest, longest, buckets, alternateSign } = settings;
  const words = split(settings.lowercase ? text.toLowerCase() : text);
  touched.count = 0;
  if (stamps.length < buckets) stamps = new Uint32Array(buckets);
  stamp = (stamp + 1) >>> 0;
  if (stamp === 0) {
    stamps.fill(0);
    stamp = 1;
  }
  for (let length = shortest; length <= longest; length++)
    for (let first = 0; first + length <= words; first++) {
      const hash = murmur3Bytes(bytes, starts[first] as number, ends[first + length - 1] as number);
      const column = bucketOfHash(hash, buckets);
      const place = at + column;
      out[place] = (out[place] as number) + (alternateSign && hash < 0 ? -1 : 1);
      if (stamps[column] !== stamp) {
        stamps[column] = stamp;
        touch(column);
      }
    }
  return touched;
}

function touch(column: number): void {
  if (touched.count === touched.columns.length) {
    const larger = new Int32Array(2 * touched.count);
    larger.set(touched.columns);
    touched.columns = larger;
  }
  touched.columns[touched.count++] = column;
}

/** Writes the words of two or more characters into `bytes` as UTF-8; returns how many there are. */
function split(text: string): number {
  const most = text.length * 3 + 8;
  if (bytes.length < most) bytes = new Uint8Array(2 * most);
  const length = text.length;
  let words = 0;
  let written = 0;
  let start = 0;
  let characters = 0;
  for (let index = 0; index <= length; index++) {
    const unit = index < length ? text.charCodeAt(index) : 32;
    if (unit < 0x80 ? isAsciiWord(unit) : isWordUnit(unit, text, index)) {
      if (characters === 0) start = written;
      characters++;
      if (unit < 0x80) bytes[written++] = unit;
      else if (unit < 0x800) {
        bytes[written++] = 0xc0 | (unit >> 6);
        bytes[written++] = 0x80 | (unit & 0x3f);
      } else if (unit >= 0xd800 && unit < 0xdc00) {
        const point = text.codePointAt(index) as number;
        index++;
        bytes[written++] = 0xf0 | (point >> 18);
        bytes[written++] = 0x80 | ((point >> 12) & 0x3f);
        bytes[written++] = 0x80 | ((point >> 6) & 0x3f);
        bytes[written++] = 0x80 | (point & 0x3f);
      } else {
        bytes[written++] = 0xe0 | (unit >> 12);
        bytes[written++] = 0x80 | ((unit >> 6) & 0x3f);
        bytes[written++] = 0x80 | (unit & 0x3f);
      }
      continue;
    }
    // For a surrogate pair that is not a word character, the second unit was already handled with the first.
    if (characters >= 2) {
      if (words === starts.length) growWords();
      starts[words] = start;
      ends[words++] = written;
      bytes[written++] = 32;
    } else if (characters === 1) written = start;
    characters = 0;
  }
  return words;
}

function growWords(): void {
  const [moreStarts, moreEnds] = [new Int32Array(2 * starts.length), new Int32Array(2 * ends.length)];
  moreStarts.set(starts);
  moreEnds.set(ends);
  starts = moreStarts;
  ends = moreEnds;
}

function isAsciiWord(unit: number): boolean {
  return (
    (unit >= 97 && unit <= 122) || (unit >= 48 && unit <= 57) || (unit >= 65 && unit <= 90) || unit === 95
  );
}

function isWordUnit(unit: number, text: string, index: number): boolean {
  if (unit >= 0xd800 && unit < 0xe000) {
    if (unit >= 0xdc00) return false;
    return IS_WORD.test(String.fromCodePoint(text.codePointAt(index) as number));
  }
  let kind = kinds[unit] as number;
  if (kind === 0) {
    kind = IS_WORD.test(String.fromCharCode(unit)) ? WORD : OTHER;
    kinds[unit] = kind;
  }
  return kind === WORD;
}
