import { readdirSync } from 'node:fs';

/** No message is read further; what a model's author can make long must not cost the service much. */
const MAX_READ = 4_096;
const MAX_LENGTH = 500;
/** A file of sources with a line: where the runtime, or this service, noticed something. */
const SOURCE =
  /(?:file:|\b[a-z]:)?(?:(?:[\w.+~@-]*[/\\])*[\w.+@-]+\.(?:cc|cpp|cxx|cu|cuh|hpp|hxx|inc|mm|m?js|cjs|m?ts)|[/\\](?:[\w.+~@-]*[/\\])*[\w.+@-]+\.[ch])(?::\d+(?::\d+)?|\(\d+\)):?/gi;
/** Replaces a source location, after which the runtime writes the function's signature. */
const MARK = '\u0000';
/** What the runtime has checked, before it says what that means. */
const CONDITION = /^.{1,300}? was false\.\s+(?=\S)/;
/** What stands behind the failure of a call to CUDA or its libraries: on which device and machine, and where in the sources. */
const CALL_SITE = /\s*;\s*(?:GPU=[^;]*;\s*)?hostname=.*$/;
const QUOTED_PATH = /(["'`])(?:file:|[a-z]:|~)?[/\\][^"'`]*\1/gi;
/** From the root, a drive, a home, a network share, or a URL. Within a name, as in `encoder/MatMul`, it is none. */
const PATH = /(?:file:|\b[a-z]:|~)?(?<!\w)[/\\][^\s"'`()[\]{}<>,;:|]*/gi;
/** What a name that is written as a path may look like, as `/encoder/layer.0/MatMul`, and what may stand before it. */
const NAME = /^(?:\/(?!\.)[\w.+-]+)+$/;
const BEFORE_NAME = /[\s"'`([{,=]/;
/** Of a file, of a library with its version too. */
const EXTENSION = /\.(?:so[.\d]*|[a-z][a-z\d]{0,7})\.?$/i;
/** Where systems keep their files, this one or that on which the runtime was built. */
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

/** Null where nobody knows them: nothing passes for a name then. */
type Roots = ReadonlySet<string> | null;

/**
 * What a caller may see of the runtime's message: what is wrong, with the names of operators, tensors, providers and
 * operator sets, but no path, no place in the sources, no C++ signature and no stack. Of a path its last part is kept. A name that is
 * written as one, such as a node's `/encoder/MatMul`, is kept whole where it can be no path here: the machine has nothing
 * called `/encoder`, and the end is no file's. One line of about 500 characters at most; the log keeps the whole.
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
  // Also in the middle, because a path may directly follow a name. Of a path only its last part is kept.
  return ![first, ...others.slice(0, -1)].some((part) => roots.has(part));
}

/** What stands at this machine's root, and at others'. */
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

/** Signatures that stand alone, as in a stack without lines. */
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

/** How much of the text's beginning is a function's signature; 0 when it begins with none. */
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

/** Of the first bracket that holds what a function takes, outside of what a template takes. */
function openingOf(text: string): number {
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '(') return at;
    if (text[at] === '<') at = balancedEnd(text, at) - 1;
  }
  return -1;
}

/** Behind the bracket that closes the one at `from`; the end of the text when none does. */
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
