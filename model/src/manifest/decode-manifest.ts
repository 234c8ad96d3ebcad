import { HotloopError } from '@hotloop/proto/errors.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

/** The text of a model.yaml file. Throws INVALID_ARGUMENT with the position of the first byte that is not UTF-8. */
export function decodeManifest(bytes: Uint8Array, file = 'model.yaml'): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    const at = firstBadByte(bytes);
    const before = Buffer.from(bytes.subarray(0, at)).toString('utf8').split('\n');
    const hex = (bytes[at] ?? 0).toString(16).toUpperCase().padStart(2, '0');
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `${file} is not UTF-8: byte ${at} (line ${before.length}, character ${(before.at(-1)?.length ?? 0) + 1}) is 0x${hex}; save the file as UTF-8`,
      { reason: 'not_utf8', cause },
    );
  }
}

/** End of the longest prefix of complete characters. */
function firstBadByte(bytes: Uint8Array): number {
  let good = 0;
  let bad = bytes.length;
  while (good < bad) {
    const middle = (good + bad + 1) >> 1;
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      good = middle;
    } catch {
      bad = middle - 1;
    }
  }
  // Up to three bytes may belong to an incomplete character.
  while (good > 0 && !isWhole(bytes.subarray(0, good))) good--;
  return good;
}

function isWhole(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
