import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Facts } from './facts.ts';

const EXPORTS = /export (?:type )?\{([^}]*)\} from '\.\/([^']+)'/g;
const DECLARATION = /^export (interface|class|type|function|async function) (\w+)/;
/** A member of an interface or class, indented by two spaces. */
const MEMBER = /^ {2}(?:readonly |async |static )*(?!#|constructor|private)(\w+)(\?)?(\(|:|<)(.*)$/;
/** Interfaces that users implement or fill in: a new member without `?` breaks them. */
const TAKEN = /(Input|Options|Patience|Bundle)$/;

/** The exports of `@hotloop/client`, with the members of its interfaces and classes. Read from the sources. */
export function sdkFacts(root: string): Facts {
  const folder = join(root, 'client-sdk', 'src');
  const facts: Record<string, string> = {};
  for (const [, names = '', file = ''] of readFileSync(join(folder, 'index.ts'), 'utf8').matchAll(EXPORTS)) {
    const exported = names
      .split(',')
      .map((name) => name.trim().replace(/^type /, ''))
      .filter(Boolean);
    const text = readFileSync(join(folder, file), 'utf8');
    for (const name of exported) {
      facts[`sdk ${name}`] = '';
      Object.assign(facts, memberFacts(name, text));
    }
  }
  return facts;
}

/** Members of one declaration of a source file. Pure. */
export function memberFacts(name: string, text: string): Facts {
  const facts: Record<string, string> = {};
  let inside = false;
  for (const line of text.split('\n')) {
    const declared = DECLARATION.exec(line)?.[2];
    if (declared !== undefined) inside = declared === name;
    if (line.startsWith('}')) inside = false;
    const [, member, optional, , rest = ''] = (inside && MEMBER.exec(line)) || [];
    if (member === undefined) continue;
    const isMethod = /^ {2}(?:async )?\w+[(<]/.test(line);
    facts[`sdk ${name} | ${member}`] = isMethod
      ? 'method'
      : rest
          .trim()
          .replace(/;$/, '')
          .replace(/\s*[{(]$/, '');
    if (!isMethod && optional === undefined && TAKEN.test(name))
      facts[`requires sdk ${name} | ${member}`] = '';
  }
  return facts;
}
