/** One object of the store. */
export interface StoredObject {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

/**
 * Named bytes, for the model store and the archive. Keys are relative paths such as
 * `events/view/2026-01-02T03/a.parquet`: parts of letters, digits, `.`, `_`, `=` and `-`, separated by `/`; other
 * keys are rejected with INVALID_ARGUMENT. A put is atomic and replaces an existing object. Throws NOT_FOUND for a
 * missing key, UNAVAILABLE when the store cannot be reached.
 *
 * Adapters: directory-object-store.ts, s3-object-store.ts. Both pass testing/object-store-contract.ts.
 */
export interface ObjectStore {
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** Stores the contents of a local file. */
  putFile(key: string, path: string): Promise<void>;
  get(key: string): Promise<Uint8Array>;
  /** Writes an object into a local file, whose folder must exist. */
  getFile(key: string, path: string): Promise<void>;
  /** Objects whose key starts with the prefix, in the order of their keys. */
  list(prefix: string): AsyncGenerator<StoredObject, void, undefined>;
  /** Removing an object that does not exist is not an error. */
  remove(key: string): Promise<void>;
}
