import type { Http2Session } from './http2-sessions.ts';

/**
 * A replacement for the Map that holds the streams of an HTTP/2 session, ordered by id. When a Map grows, which
 * happens repeatedly while calls come and go, its old backing table keeps a reference to the new one. Once one of
 * these tables is in V8's old generation, all later ones survive minor garbage collections, together with every
 * stream they contained. See docs/decisions/0009.
 */
export class StreamTable<Stream> implements Iterable<[number, Stream]> {
  readonly #streams: Record<number, Stream> = Object.create(null);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Stream | undefined {
    return this.#streams[id];
  }

  has(id: number): boolean {
    return id in this.#streams;
  }

  set(id: number, stream: Stream): this {
    if (!this.has(id)) this.#size++;
    this.#streams[id] = stream;
    return this;
  }

  delete(id: number): boolean {
    if (!this.has(id)) return false;
    this.#size--;
    return delete this.#streams[id];
  }

  clear(): void {
    for (const id of this.keys()) this.delete(id);
  }

  /** Streams may be removed during iteration, as when all are destroyed; streams added during it are not visited. */
  forEach(visit: (stream: Stream, id: number) => void): void {
    for (const [id, stream] of this) visit(stream, id);
  }

  *keys(): Generator<number> {
    for (const [id] of this) yield id;
  }

  *values(): Generator<Stream> {
    for (const [, stream] of this) yield stream;
  }

  entries(): Generator<[number, Stream]> {
    return this[Symbol.iterator]();
  }

  *[Symbol.iterator](): Generator<[number, Stream]> {
    for (const key of Object.keys(this.#streams)) {
      const id = Number(key);
      if (this.has(id)) yield [id, this.#streams[id] as Stream];
    }
  }
}

const MEMBERS_OF_A_MAP = Object.getOwnPropertyNames(StreamTable.prototype).filter(
  (name) => name !== 'constructor',
);

/**
 * Replaces a session's Map of streams by such a table; call before its first stream. Returns false, and changes
 * nothing, if this Node version does not keep its streams in an empty Map where Node 20 to 24 do: memory of calls is
 * then only collected later.
 */
export function replaceStreamTable(session: Http2Session): boolean {
  const symbol = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state');
  const state: unknown = symbol && Reflect.get(session, symbol);
  if (!isObject(state)) return false;
  const streams: unknown = Reflect.get(state, 'streams');
  if (!isObject(streams) || !MEMBERS_OF_A_MAP.every((name) => name in streams)) return false;
  if (Reflect.get(streams, 'size') !== 0) return false;
  return Reflect.set(state, 'streams', new StreamTable());
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
