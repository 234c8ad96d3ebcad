import type { Http2Session } from './http2-sessions.ts';

/**
 * The part of a Map that the runtime uses for the streams of a connection, without a Map's memory: the table that a Map has outgrown, which
 * with calls that come and go happens every few dozen calls, keeps a reference to the next one. Once one of them is old, all that follow
 * outlive the young, with every stream that stood in them and all that belongs to it.
 */
export class StreamTable<Stream> {
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

  /** By rising id. A stream may be taken out meanwhile, as when all are destroyed. */
  forEach(visit: (stream: Stream, id: number) => void): void {
    for (const key of Object.keys(this.#streams)) {
      const id = Number(key);
      const stream = this.#streams[id];
      if (stream !== undefined) visit(stream, id);
    }
  }
}

const KNOWN_TABLE = ['get', 'set', 'delete', 'forEach', 'size'] as const;

/**
 * Gives a connection such a table in the place of its Map; to be called before its first stream. False, and nothing done, where the
 * runtime keeps its streams in another way than the one that is known: calls are then collected later, no more.
 */
export function replaceStreamTable(session: Http2Session): boolean {
  const key = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state');
  const state: unknown = key && Reflect.get(session, key);
  if (!isObject(state)) return false;
  const table = Reflect.get(state, 'streams');
  if (!isObject(table) || !KNOWN_TABLE.every((name) => name in table)) return false;
  if (Reflect.get(table, 'size') !== 0) return false;
  return Reflect.set(state, 'streams', new StreamTable());
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
