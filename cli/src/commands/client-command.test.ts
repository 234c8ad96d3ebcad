import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { writeClient } from '@hotloop/model/manifest/write-client.ts';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

const RANKING = `name: shoe-ranker
task: ranking
features:
  - {name: price, from: item.price}
  - {name: month, from: request.month, missing: Jan, transform: [{one_hot: [Jan, Feb]}]}
  - {name: views, from: history.user.view.count, window: 7d, missing: 0}
  - {name: segment, from: reference.customers.segment, by: user, transform: [{one_hot: [new, loyal]}]}
decision: {combine: "score + item.margin"}
outcome: {from: sdk, join: [user, item]}
`;
const BINARY = `name: 2nd-payments
task: binary
features:
  - {name: amount, from: request.amount}
  - {name: night, from: request.night, missing: 0}
decision: {labels: [genuine, fraud]}
`;

const USE = `import type { HotloopClient } from '@hotloop/client';
import { ShoeRankerClient } from './shoes.ts';
import { M2ndPaymentsClient } from './payments.ts';
export async function use(client: HotloopClient) {
  const shoes = new ShoeRankerClient(client);
  await shoes.predict({ entities: { user: 'u' }, request: { month: 'Feb' }, candidates: [{ id: 'a', price: 2, margin: 1 }] });
  const { label } = await new M2ndPaymentsClient(client).predict({ request: { amount: 3 } });
  const isFraud: boolean = label === 'fraud';
  return isFraud;
}
`;

/** What tsc says, by line. */
function compile(folder: string): Promise<string> {
  const flags = [
    '--ignoreConfig',
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--module',
    'nodenext',
    '--target',
    'esnext',
  ];
  const more = ['--allowImportingTsExtensions', '--erasableSyntaxOnly', '--types', 'node'];
  return new Promise((resolve) =>
    execFile(
      process.execPath,
      [TSC, ...flags, ...more, join(folder, 'use.ts')],
      { cwd: ROOT },
      (_error, out) => resolve(out),
    ),
  );
}

it('writes a client that compiles, and with which a wrong feature name, type or label does not', async () => {
  const folder = await mkdtemp(join(ROOT, 'cli/src/generated-'));
  await using _folder = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
  await writeFile(join(folder, 'shoes.ts'), writeClient(parseManifest(RANKING), 3));
  await writeFile(join(folder, 'payments.ts'), writeClient(parseManifest(BINARY), 1));
  await writeFile(join(folder, 'use.ts'), USE);
  expect(await compile(folder)).toBe('');
  const wrong = USE.replace("month: 'Feb'", "mont: 'Feb'")
    .replace("label === 'fraud'", "label === 'frond'")
    .replace('amount: 3', "amount: '3'")
    .replace('price: 2, ', '')
    .replace("user: 'u'", "users: 'u'");
  await writeFile(join(folder, 'use.ts'), wrong);
  const said = await compile(folder);
  for (const words of [
    "'mont'",
    "'price'",
    "'string' is not assignable to type 'number'",
    "'users'",
    'no overlap',
  ])
    expect(said).toContain(words);
});
