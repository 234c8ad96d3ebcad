/**
 * Gives the memory of large bytes back at once, where the collector would come for it only when much more has gathered.
 * They have no length from then on. Only for bytes that nobody else holds and that no write is under way with.
 */
export function releaseBytes(bytes: Uint8Array): void {
  const { buffer } = bytes;
  // A view on a part belongs to somebody else, such as the pool of small buffers.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) buffer.transfer(0);
}
