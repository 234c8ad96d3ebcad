/** An error message for the user at the terminal: the message, and its causes. */
export function terminalMessage(error: unknown): string {
  const lines: string[] = [];
  for (let next: unknown = error; next !== undefined && lines.length < 5; ) {
    const text = next instanceof Error ? next.message : String(next);
    if (text !== '' && text !== lines.at(-1)) lines.push(text);
    next = next instanceof Error ? next.cause : undefined;
  }
  return lines.join('\n  because: ');
}
