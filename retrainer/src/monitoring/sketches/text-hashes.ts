import { TextTable } from '@hotloop/model/features/flat-rows.ts';

/** Numbers texts by a hash of 24 bits (FNV-1a), which float32 holds exactly: the same in every process, and nothing is kept. */
export class TextHashes extends TextTable {
  override placeOf(text: string): number {
    let hash = 0x811c9dc5;
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    return (hash ^ (hash >>> 15)) & 0xffffff;
  }
}
