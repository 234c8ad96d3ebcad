import { TextTable } from '@hotloop/model/features/flat-rows.ts';

/** Maps texts to a 24-bit hash (FNV-1a), which float32 represents exactly. The same in every process, without stored state. */
export class TextHashes extends TextTable {
  override placeOf(text: string): number {
    let hash = 0x811c9dc5;
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    return (hash ^ (hash >>> 15)) & 0xffffff;
  }
}
