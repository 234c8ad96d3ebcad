import { HotloopError } from '@hotloop/proto/errors.ts';

/** Maximum nesting of objects and lists. Our deepest document has six levels. */
const MAX_DEPTH = 32;
const FORBIDDEN = '__proto__';
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Parses JSON from external callers. Rejects what parsers usually accept and then interpret differently: bytes that
 * are not UTF-8, half of a surrogate pair (which UTF-8 cannot hold), the same key twice in one object, the key
 * `__proto__`, and nesting deeper than 32. Throws INVALID_ARGUMENT with the path of the field if there is one. Memory:
 * the text, the values, and the keys of the currently open objects.
 */
export function parseStrictJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) throw invalid('the body is empty; send JSON');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalid('the body is not valid UTF-8', cause);
  }
  checkStructure(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(
      `the body is not JSON: ${cause instanceof Error ? cause.message.slice(0, 200) : ''}`,
      cause,
    );
  }
  if (SURROGATE.test(text)) checkTexts(value, '');
  return value;
}

/** Only an escape can bring in half of a pair: bytes that are UTF-8 have none. */
const SURROGATE = /\\u[dD][89a-fA-F]/;

function checkTexts(value: unknown, path: string): void {
  if (typeof value === 'string' && !value.isWellFormed())
    throw invalid(
      `${path === '' ? 'the body' : path}: contains half of a surrogate pair, which is not a character`,
    );
  if (typeof value !== 'object' || value === null) return;
  for (const [key, part] of Object.entries(value)) {
    const at = (path === '' ? key : `${path}.${key}`).toWellFormed().slice(0, 500);
    if (!key.isWellFormed()) checkTexts(key, at);
    checkTexts(part, at);
  }
}

interface Level {
  /** Undefined for a list. */
  readonly keys: Set<string> | undefined;
  /** The key or index that is being read. */
  at: string | number;
}

/** Checks only depth and keys; JSON.parse rejects invalid JSON. */
function checkStructure(text: string): void {
  const levels: Level[] = [];
  for (let index = 0; index < text.length; index++) {
    const level = levels.at(-1);
    switch (text.charCodeAt(index)) {
      case QUOTE: {
        const end = endOfString(text, index);
        if (level?.keys && isKey(text, end)) addKey(text.slice(index, end), level, levels);
        index = end - 1;
        break;
      }
      case 0x7b: // {
      case 0x5b: // [
        if (levels.length >= MAX_DEPTH)
          throw invalid(`${pathOf(levels)}: nested deeper than ${MAX_DEPTH} levels`);
        levels.push(text[index] === '{' ? { keys: new Set(), at: '' } : { keys: undefined, at: 0 });
        break;
      case 0x7d: // }
      case 0x5d: // ]
        levels.pop();
        break;
      case 0x2c: // ,
        if (level && typeof level.at === 'number') level.at++;
        break;
    }
  }
}

/** Index after the closing quote, or the length of the text when it ends first. */
function endOfString(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === BACKSLASH) index++;
    else if (code === QUOTE) return index + 1;
  }
  return text.length;
}

function isKey(text: string, end: number): boolean {
  let index = end;
  while (index < text.length && text.charCodeAt(index) <= 0x20) index++;
  return text[index] === ':';
}

function addKey(quoted: string, level: Level, levels: readonly Level[]): void {
  let key: string;
  try {
    key = quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, -1);
  } catch {
    return;
  }
  level.at = key;
  if (key === FORBIDDEN) throw invalid(`${pathOf(levels)}: this key is not allowed`);
  if (level.keys?.has(key)) throw invalid(`${pathOf(levels)}: the key appears twice`);
  level.keys?.add(key);
}

function pathOf(levels: readonly Level[]): string {
  const path = levels.map(({ at }) => String(at).slice(0, 80)).join('.');
  return path === '' ? 'the body' : path.slice(0, 500);
}

function invalid(message: string, cause?: unknown): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', message, { reason: 'invalid_json', cause });
}
