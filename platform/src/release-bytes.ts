/**
 * Frees the memory of a large byte array at once; the garbage collector would free it only after much more has
 * accumulated. The array has length 0 afterwards. Only for bytes that nothing else references and no write is using.
 */
export function releaseBytes(bytes: Uint8Array): void {
  const { buffer } = bytes;
  // A partial view shares its buffer with others, such as the pool of small buffers.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) buffer.transfer(0);
}
