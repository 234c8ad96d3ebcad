const OFFSET_BASIS = 0x811c9dc5;
const PRIME = 0x01000193;
const REPLACEMENT = 0xfffd;

/**
 * FNV-1a, 32 bits, over the UTF-8 bytes of a text (Fowler, Noll, Vo; RFC 9923). An unpaired surrogate counts as
 * U+FFFD, as in TextEncoder. The text is encoded on the fly, because an encoder would allocate memory for each value.
 */
export function fnv1a32(text: string): number {
  let hash = OFFSET_BASIS;
  for (let index = 0; index < text.length; index++) {
    let point = text.charCodeAt(index);
    if (point < 0x80) {
      hash = Math.imul(hash ^ point, PRIME);
      continue;
    }
    if (point >= 0xd800 && point < 0xe000) {
      const low = point < 0xdc00 ? text.charCodeAt(index + 1) : 0;
      if (low >= 0xdc00 && low < 0xe000) {
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        index++;
      } else point = REPLACEMENT;
    }
    if (point < 0x800) hash = Math.imul(hash ^ (0xc0 | (point >> 6)), PRIME);
    else {
      if (point < 0x10000) hash = Math.imul(hash ^ (0xe0 | (point >> 12)), PRIME);
      else {
        hash = Math.imul(hash ^ (0xf0 | (point >> 18)), PRIME);
        hash = Math.imul(hash ^ (0x80 | ((point >> 12) & 0x3f)), PRIME);
      }
      hash = Math.imul(hash ^ (0x80 | ((point >> 6) & 0x3f)), PRIME);
    }
    hash = Math.imul(hash ^ (0x80 | (point & 0x3f)), PRIME);
  }
  return hash >>> 0;
}
