const encoder = new TextEncoder();
let scratch = new Uint8Array(1024);

/**
 * MurmurHash3, 32 bits, seed 0 (Appleby, `MurmurHash3_x86_32`), of the UTF-8 bytes of a text, as a signed number,
 * equal to scikit-learn's `murmurhash3_32(text)`. An unpaired surrogate counts as U+FFFD, as in TextEncoder.
 */
export function murmur3(text: string): number {
  const most = text.length * 3;
  if (scratch.length < most) scratch = new Uint8Array(2 * most);
  let length = 0;
  for (; length < text.length; length++) {
    const unit = text.charCodeAt(length);
    if (unit >= 0x80) return murmur3Bytes(scratch, 0, encoder.encodeInto(text, scratch).written);
    scratch[length] = unit;
  }
  return murmur3Bytes(scratch, 0, length);
}

/** The same of bytes `from` to `end`. */
export function murmur3Bytes(bytes: Uint8Array, from: number, end: number): number {
  const length = end - from;
  const blocksEnd = from + (length & ~3);
  let hash = 0;
  let at = from;
  for (; at < blocksEnd; at += 4) {
    let block =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    block = Math.imul(block, 0xcc9e2d51);
    block = (block << 15) | (block >>> 17);
    hash ^= Math.imul(block, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  const rest = length & 3;
  if (rest > 0) {
    let block = bytes[at] as number;
    if (rest > 1) block |= (bytes[at + 1] as number) << 8;
    if (rest > 2) block |= (bytes[at + 2] as number) << 16;
    block = Math.imul(block, 0xcc9e2d51);
    block = (block << 15) | (block >>> 17);
    hash ^= Math.imul(block, 0x1b873593);
  }
  hash ^= length;
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) | 0;
}

/** The bucket of a hash, 0 to buckets − 1: its absolute value modulo buckets, as in scikit-learn's FeatureHasher. */
export function bucketOfHash(hash: number, buckets: number): number {
  // abs(-2^31) overflows 32 bits; scikit-learn's source handles it in this way.
  if (hash === -2147483648) return (2147483647 - (buckets - 1)) % buckets;
  return Math.abs(hash) % buckets;
}
