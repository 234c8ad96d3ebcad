const LONGEST = 80;

/** An external name for use in a message: in single quotes, at most 80 characters, without control characters. */
export function quoted(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed here
  const clean = name.replace(/[\u0000-\u001f\u007f]/g, '?');
  return `'${clean.length > LONGEST ? `${clean.slice(0, LONGEST - 3)}...` : clean}'`;
}

/** A value of a request or of model.yaml for use in a message: as JSON, truncated to 80 characters. */
export function quotedJson(value: unknown): string {
  return JSON.stringify(String(value).slice(0, LONGEST));
}
