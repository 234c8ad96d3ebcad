/** Receives reports of lost connections; every Log satisfies this interface. */
export interface StreamLog {
  warn(fields: Readonly<Record<string, unknown>>, text: string): void;
}
