/** What a value becomes when every key of it is written in camel case, as the generated messages have them. */
export type CamelCased<T> = T extends readonly (infer Element)[]
  ? CamelCased<Element>[]
  : T extends object
    ? { [Key in keyof T as Key extends string ? CamelKey<Key> : never]: CamelCased<T[Key]> }
    : T;

type CamelKey<Key extends string> = Key extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelKey<Tail>>}`
  : Key;

/** The same value with camel-cased keys: REST has the protocol's names, gRPC's messages the language's. */
export function camelCased<T>(value: T): CamelCased<T> {
  if (Array.isArray(value)) return value.map((element) => camelCased(element)) as CamelCased<T>;
  if (typeof value !== 'object' || value === null) return value as CamelCased<T>;
  const entries = Object.entries(value).map(([key, inner]) => [
    key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
    camelCased(inner),
  ]);
  return Object.fromEntries(entries) as CamelCased<T>;
}
