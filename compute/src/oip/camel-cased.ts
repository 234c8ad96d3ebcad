/** The type of a value whose keys are all converted to camel case, as in the generated messages. */
export type CamelCased<T> = T extends readonly (infer Element)[]
  ? CamelCased<Element>[]
  : T extends object
    ? { [Key in keyof T as Key extends string ? CamelKey<Key> : never]: CamelCased<T[Key]> }
    : T;

type CamelKey<Key extends string> = Key extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelKey<Tail>>}`
  : Key;

/**
 * The same value with camel-case keys. REST uses the protocol's snake-case names, the generated gRPC messages camel
 * case.
 */
export function camelCased<T>(value: T): CamelCased<T> {
  if (Array.isArray(value)) return value.map((element) => camelCased(element)) as CamelCased<T>;
  if (typeof value !== 'object' || value === null) return value as CamelCased<T>;
  const entries = Object.entries(value).map(([key, inner]) => [
    key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
    camelCased(inner),
  ]);
  return Object.fromEntries(entries) as CamelCased<T>;
}
