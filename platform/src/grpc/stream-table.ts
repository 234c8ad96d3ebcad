import type { Http2Session } from './http2-sessions.ts';

/**
 * A Map for the streams of a connection, in the order of their ids, without a Map's memory: the table that a Map has outgrown, which
 * happens again and again while calls come and go, keeps a reference to the next one. Once one of them is old, all that follow
 * outlive the young, with every stream that stood in them and all that belongs to it. See docs/decisions/0009.
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

  /** A stream may be taken out meanwhile, as when all are destroyed; one that comes meanwhile is not visited. */
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
 * Gives a connection such a table in the place of its Map; to be called before its first stream. False, and nothing done, where the
 * runtime does not keep its streams in an empty Map where Node 20 to 24 do: what belongs to calls is then collected later, no more.
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
