const LONGEST = 80;

/** A name from outside as it may appear in a message: in single quotes, at most 80 characters, without control characters. */
export function quoted(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed here
  const clean = name.replace(/[\u0000-\u001f\u007f]/g, '?');
  return `'${clean.length > LONGEST ? `${clean.slice(0, LONGEST - 3)}...` : clean}'`;
}

/** A value of a request or of model.yaml as it may appear in a message: as JSON, at most 80 characters of it. */
export function quotedJson(value: unknown): string {
  return JSON.stringify(String(value).slice(0, LONGEST));
}
