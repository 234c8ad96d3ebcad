/** Receives reports of lost connections; every Log is one. */
export interface StreamLog {
  warn(fields: Readonly<Record<string, unknown>>, text: string): void;
}
