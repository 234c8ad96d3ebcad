import type { HotloopClient, HotloopClientError } from '@hotloop/client';
import { external, model as modelWith, weight } from '@hotloop/model/onnx/testing/model-messages.ts';
import { HOSTILE_TEXTS, type HostileInput, leakOf, mutated } from './hostile-input.ts';

const MUTANTS = 80;
/** Names that are valid, whatever they mean elsewhere. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;
/** Codes that mean a fault of the caller. */
const RIGHT = new Set([
  'INVALID_ARGUMENT',
  'FAILED_PRECONDITION',
  'NOT_FOUND',
  'RESOURCE_EXHAUSTED',
  'ALREADY_EXISTS',
]);

/** Models, manifests and tables that are damaged or malicious. */
export function fileInputs(
  client: HotloopClient,
  addresses: { readonly retrainer: string; readonly preprocessor: string },
  model: { readonly name: string; readonly manifestYaml: string; readonly onnx: Uint8Array },
  parquet: Uint8Array,
): HostileInput[] {
  const inputs: HostileInput[] = [];
  const push = (name: string, manifestYaml: string, onnx: Uint8Array, mayBeFine = false) =>
    inputs.push({
      door: 'push',
      name,
      send: () => pushed(client, manifestYaml, onnx, mayBeFine),
    });
  // The drill's own model keeps its versions; a damaged file that is still valid becomes a version of another model.
  const other = model.manifestYaml.replace(`name: ${model.name}`, 'name: hostile');
  for (let index = 0; index < MUTANTS; index++)
    push(`model.onnx, damaged (${index})`, other, mutated(model.onnx, index), true);
  for (const [what, bytes] of NOT_ONNX) push(`model.onnx: ${what}`, other, bytes);
  for (let index = 0; index < MUTANTS; index++) {
    const text = Buffer.from(mutated(Buffer.from(other), index)).toString('latin1');
    push(`model.yaml, damaged (${index})`, text, model.onnx, true);
  }
  for (const [what, text] of HOSTILE_YAML) push(`model.yaml: ${what}`, text, model.onnx);
  for (const text of HOSTILE_TEXTS)
    push(
      `a name ${JSON.stringify(text.slice(0, 20))}`,
      other.replace('hostile', JSON.stringify(text)),
      model.onnx,
      NAME.test(text),
    );
  const upload = (path: string, type: string, what: string, body: Uint8Array) =>
    inputs.push({
      door: 'file',
      name: `${path} ${what}`,
      send: () =>
        uploaded(
          path.startsWith('/v1/tables') ? addresses.preprocessor : addresses.retrainer,
          path,
          type,
          body,
        ),
    });
  for (const path of ['/v1/tables/hostile/versions', `/v1/models/${model.name}/corrections/file`]) {
    for (const [what, text] of HOSTILE_CSV) upload(path, 'text/csv', `CSV ${what}`, Buffer.from(text));
    for (const [what, text] of HOSTILE_LINES)
      upload(path, 'application/x-ndjson', `lines ${what}`, Buffer.from(text));
    for (let index = 0; index < MUTANTS / 2; index++)
      upload(path, 'application/vnd.apache.parquet', `Parquet, damaged (${index})`, mutated(parquet, index));
    upload(path, 'application/vnd.apache.parquet', 'not a Parquet file', Buffer.from('PAR1 nothing PAR1'));
    upload(path, 'application/octet-stream', 'of an unknown type', parquet);
  }
  return inputs;
}

async function pushed(client: HotloopClient, manifestYaml: string, onnx: Uint8Array, mayBeFine: boolean) {
  try {
    await client.models.push({ manifestYaml, onnx }).finished();
  } catch (error) {
    const { code, message } = error as HotloopClientError;
    if (!RIGHT.has(code)) return `${code}: ${message.slice(0, 200)}`;
    const leak = leakOf(message, `${manifestYaml} ${Buffer.from(onnx).toString('latin1')}`);
    return leak === undefined ? undefined : `the answer reveals ${JSON.stringify(leak)}`;
  }
  return mayBeFine ? undefined : 'it was accepted';
}

async function uploaded(address: string, path: string, type: string, body: Uint8Array) {
  const response = await fetch(`http://${address}${path}`, {
    ...{ method: 'POST', headers: { 'content-type': type }, body: new Uint8Array(body) },
    signal: AbortSignal.timeout(15_000),
  });
  const text = await response.text();
  // Corrections are staged with a report of the rejected rows, and count only after approval.
  if (response.status >= 500) return `status ${response.status}: ${text.slice(0, 200)}`;
  if (response.status < 400 && !/"(?:refused|rejected|problems|errors)"/.test(text))
    return `taken: ${text.slice(0, 200)}`;
  const leak = leakOf(text, Buffer.from(body).toString('latin1'));
  return leak === undefined ? undefined : `the answer reveals ${JSON.stringify(leak)}`;
}

const externalData = modelWith({ initializer: [{ ...weight, ...external }] });

const NOT_ONNX: readonly [string, Uint8Array][] = [
  ['nothing', new Uint8Array()],
  ['a pickle', Buffer.from('8004952800000000000000', 'hex')],
  ['a zip', Buffer.from('504b0304140000000800', 'hex')],
  ['text', Buffer.from('import os; os.system("id")')],
  ['random bytes', Buffer.from('ffeeddccbbaa99887766554433221100', 'hex')],
  ['weights that are elsewhere', externalData],
  ['zeros', new Uint8Array(100_000)],
];

const HOSTILE_YAML: readonly [string, string][] = [
  ['nothing', ''],
  ['a list', '- a\n- b\n'],
  ['a number', '42'],
  [
    'a billion laughs',
    `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
      .split('')
      .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[index]}`).join(',')}]`)
      .join('\n')}\nname: laughs\nfeatures: *i\n`,
  ],
  ['a tag that makes objects', 'name: !!js/function "function () { return 1 }"\nfeatures: []\n'],
  ['a python object', 'name: !!python/object/apply:os.system ["id"]\nfeatures: []\n'],
  ['a prototype', 'name: a\n__proto__: {polluted: true}\nfeatures: []\n'],
  ['an anchor that contains itself', 'name: &a [*a]\nfeatures: []\n'],
  ['depth', `name: a\nfeatures: ${'['.repeat(2_000)}${']'.repeat(2_000)}\n`],
  ['a megabyte of name', `name: ${'a'.repeat(1_000_000)}\nfeatures: []\n`],
  ['tabs', 'name:\ta\n\tfeatures: []\n'],
  ['NUL', 'name: a\u0000b\nfeatures: []\n'],
  ['two documents', 'name: a\nfeatures: []\n---\nname: b\nfeatures: []\n'],
  ['the same key twice', 'name: a\nname: b\nfeatures: []\n'],
  [
    'an expression that never ends',
    'name: hostile\nfeatures:\n  - {name: a, from: request.a}\ndecision: {combine: "(((((((((("}\n',
  ],
  [
    'a webhook to metadata',
    'name: hostile\nfeatures: [{name: a, from: request.a}]\nmonitor: {notify: ["https://169.254.169.254/"]}\n',
  ],
  [
    'a webhook to a file',
    'name: hostile\nfeatures: [{name: a, from: request.a}]\nmonitor: {notify: ["file:///etc/passwd"]}\n',
  ],
  [
    'a trainer that is a shell',
    'name: hostile\nfeatures: [{name: a, from: request.a}]\ntraining: {trainer: {command: ["/bin/sh", "-c", "id"]}}\n',
  ],
];

const HOSTILE_CSV: readonly [string, string][] = [
  ['nothing', ''],
  ['a header alone', 'prediction_id,label\n'],
  ['formulas', 'prediction_id,label\n=cmd|calc!A1,1\n@SUM(1),1\n'],
  ['an open quote', 'prediction_id,label\n"a,1\n'],
  ['NUL', 'prediction_id,label\na\u0000b,1\n'],
  ['ten thousand columns', `${Array.from({ length: 10_000 }, (_, index) => `c${index}`).join(',')}\n`],
  ['one field of a megabyte', `prediction_id,label\n${'x'.repeat(1_000_000)},1\n`],
  ['the same column twice', 'prediction_id,prediction_id\na,b\n'],
  ['columns named like properties of every object', '__proto__,constructor\na,b\n'],
  ['ragged lines', 'prediction_id,label\na\nb,1,2,3\n'],
  ['BOM and CR alone', '\ufeffprediction_id,label\ra,1\r'],
  ['bytes that are not UTF-8', Buffer.from('prediction_id,label\n\xff\xfe,1\n', 'latin1').toString('latin1')],
];

const HOSTILE_LINES: readonly [string, string][] = [
  ['nothing', ''],
  ['no JSON', 'nonsense\n{\n'],
  ['lists', '[1,2]\n[3]\n'],
  ['a prototype', '{"__proto__":{"a":1},"prediction_id":"x","label":1}\n'],
  ['depth', `${'['.repeat(5_000)}\n`],
  ['values that are not numbers', '{"prediction_id":"x","label":1e999}\n{"prediction_id":"x","label":NaN}\n'],
  ['a line of a megabyte', `{"prediction_id":"${'x'.repeat(1_000_000)}","label":1}\n`],
];
