import { readdirSync } from 'node:fs';

/**
 * Longest prefix of a message that is processed: a model's author controls its length, and it must not cost the
 * service much.
 */
const MAX_READ = 4_096;
const MAX_LENGTH = 500;
/** A source file with a line number: where the runtime, or this service, raised the error. */
const SOURCE =
  /(?:file:|\b[a-z]:)?(?:(?:[\w.+~@-]*[/\\])*[\w.+@-]+\.(?:cc|cpp|cxx|cu|cuh|hpp|hxx|inc|mm|m?js|cjs|m?ts)|[/\\](?:[\w.+~@-]*[/\\])*[\w.+@-]+\.[ch])(?::\d+(?::\d+)?|\(\d+\)):?/gi;
/** Replaces a source location; the runtime writes the function's signature after it. */
const MARK = '\u0000';
/** The condition that the runtime checked, which precedes the explanation. */
const CONDITION = /^.{1,300}? was false\.\s+(?=\S)/;
/** The end of an error from CUDA or its libraries: the device, the host name and the source location. */
const CALL_SITE = /\s*;\s*(?:GPU=[^;]*;\s*)?hostname=.*$/;
const QUOTED_PATH = /(["'`])(?:file:|[a-z]:|~)?[/\\][^"'`]*\1/gi;
/**
 * A path from the root, a drive, the home folder, a network share, or a URL. A slash within a name, as in
 * `encoder/MatMul`, does not count.
 */
const PATH = /(?:file:|\b[a-z]:|~)?(?<!\w)[/\\][^\s"'`()[\]{}<>,;:|]*/gi;
/** A node name that looks like a path, such as `/encoder/layer.0/MatMul`, and the characters that may precede it. */
const NAME = /^(?:\/(?!\.)[\w.+-]+)+$/;
const BEFORE_NAME = /[\s"'`([{,=]/;
/** The extension of a file, or of a library with its version. */
const EXTENSION = /\.(?:so[.\d]*|[a-z][a-z\d]{0,7})\.?$/i;
/** Common folders at the root of a system, this one or the one on which the runtime was built. */
const USUAL_ROOTS = [
  'applications',
  'bin',
  'boot',
  'dev',
  'etc',
  'home',
  'lib',
  'lib32',
  'lib64',
  'library',
  'media',
  'mnt',
  'nix',
  'onnxruntime_src',
  'opt',
  'private',
  'proc',
  'root',
  'run',
  'sbin',
  'snap',
  'srv',
  'sys',
  'system',
  'tmp',
  'users',
  'usr',
  'var',
  'volumes',
];
const STACK_LINE = /^\s*(?:at\s.*[:(]|#\d+\s|\[?0x[\da-f]+|stack ?trace|backtrace)/i;
/** The name of a function in a namespace or class, followed by its parameters. */
const CALL = /[\w~]+(?:<[^<>()]*>)?(?:::[\w~]+(?:<[^<>()]*>)?)+\(/;
const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '<': '>' };

/** Null when the folders are unknown: then nothing is treated as a node name. */
type Roots = ReadonlySet<string> | null;

/**
 * The part of the runtime's message that a caller may see: what is wrong, with the names of operators, tensors,
 * providers and operator sets, but without paths, source locations, C++ signatures and stack traces. Of a path, only
 * the last part is kept. A node name that looks like a path, such as `/encoder/MatMul`, is kept whole if it cannot be
 * a path here: this machine has no `/encoder`, and the end has no file extension. One line of about 500 characters at
 * most; the log keeps the full message.
 */
export function callersMessage(message: string, roots = rootNames()): string {
  const lines = message
    .slice(0, MAX_READ)
    .replaceAll(MARK, ' ')
    .split(/[\r\n\u2028\u2029]+/)
    .filter((line) => !STACK_LINE.test(line))
    .map((line) => cleanLine(line, roots))
    .filter((line) => line !== '');
  const [first = 'no reason given'] = lines;
  return first.length > MAX_LENGTH ? `${first.slice(0, MAX_LENGTH)}…` : first;
}

function cleanLine(line: string, roots: Roots): string {
  const [before = '', ...after] = line.replace(CALL_SITE, '').replace(SOURCE, MARK).split(MARK);
  const parts = after.map((part) => part.slice(signatureLength(part)).trimStart().replace(CONDITION, ''));
  const text = withoutCalls([before, ...parts].join(' '));
  return text
    .replace(QUOTED_PATH, (quoted) => {
      const path = quoted.slice(1, -1);
      return isName(path, roots) ? quoted : `${quoted[0]}${lastPart(path)}${quoted[0]}`;
    })
    .replace(PATH, (path, at: number, whole: string) =>
      (at === 0 || BEFORE_NAME.test(whole[at - 1] ?? '')) && isName(path, roots) ? path : lastPart(path),
    )
    .replace(/\s+/g, ' ')
    .trim();
}

function isName(path: string, roots: Roots): boolean {
  if (roots === null || !NAME.test(path) || EXTENSION.test(path)) return false;
  const [first = '', ...others] = path.slice(1).toLowerCase().split('/');
  // Inner parts are checked too, because a path may directly follow a name. Of a path only its last part is kept.
  return ![first, ...others.slice(0, -1)].some((part) => roots.has(part));
}

/** Folder names at the root of this machine, and usual ones of others. */
function rootNames(): Roots {
  try {
    return new Set([...USUAL_ROOTS, ...readdirSync('/').map((name) => name.toLowerCase())]);
  } catch {
    return null;
  }
}

function lastPart(path: string): string {
  const part = path.split(/[/\\]/).findLast((one) => one !== '');
  return part === undefined ? '' : `…${part}`;
}

/** Removes signatures without a source location, as in a stack trace that is not split into lines. */
function withoutCalls(text: string): string {
  let rest = text;
  let kept = '';
  for (let call = CALL.exec(rest); call; call = CALL.exec(rest)) {
    kept += rest.slice(0, call.index);
    rest = rest.slice(call.index);
    rest = rest.slice(signatureLength(rest) || call[0].length);
  }
  return kept + rest;
}

/** Length of the function signature at the start of the text; 0 when there is none. */
function signatureLength(text: string): number {
  const opening = openingOf(text);
  const head = text.slice(0, opening).trimStart();
  const isName = /[\w~>:=]$/.test(head) && !/[.'"!?;]/.test(head);
  if (opening < 0 || !isName || !(head.includes('::') || /^[\w~]+$/.test(head))) return 0;
  let at = balancedEnd(text, opening);
  for (;;) {
    const suffix = /^(?:\s*(?:const|noexcept|mutable)\b|::[\w~]*|\s*&&?(?=[\s[]|$)|\s+(?=\[with ))/.exec(
      text.slice(at),
    );
    if (!suffix && !'(<['.includes(text[at] ?? ' ')) return at;
    at += suffix?.[0].length ?? 0;
    if ('(<['.includes(text[at] ?? ' ')) at = balancedEnd(text, at);
  }
}

/** Index of the bracket that opens the parameters of the function, outside of template arguments. */
function openingOf(text: string): number {
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '(') return at;
    if (text[at] === '<') at = balancedEnd(text, at) - 1;
  }
  return -1;
}

/** Index after the bracket that closes the one at `from`; the end of the text when it is not closed. */
function balancedEnd(text: string, from: number): number {
  const open = text[from] ?? '';
  const close = CLOSING[open];
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === open) depth++;
    else if (text[at] === close && --depth === 0) return at + 1;
  }
  return text.length;
}
