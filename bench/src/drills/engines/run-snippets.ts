import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { connectSql } from '@hotloop/platform/postgres/sql-client.ts';
import { pythonWith } from '../../peers/python-peer.ts';
import type { EnginesStand } from '../../stand/engines-stand.ts';
import { commandsOnPath } from './commands-on-path.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const SNIPPET_MS = 300_000;
const PAGES = ['portable-models', 'batch', 'sql', 'serverless', 'engines', 'remote-models', 'pipelines'];

interface Snippet {
  readonly page: string;
  readonly language: 'sh' | 'sql' | 'python' | 'yaml';
  readonly text: string;
}

/**
 * Runs the snippets of the pages in order, in a folder with the files that they mention, against the platform. Blocks
 * without a language are not run; a `model.yaml` goes into the folder of its model. @returns how many ran and how many failed.
 */
export async function runSnippets(
  stand: EnginesStand,
  path: string,
  say: (line: string) => void,
): Promise<{ ran: number; failed: number }> {
  const folder = join(stand.folder, 'snippets');
  await prepare(stand, folder);
  const python = await pythonWith(
    {
      ...{ onnxruntime: 'onnxruntime', pandas: 'pandas', pyarrow: 'pyarrow', pyspark: 'pyspark' },
      ...{ sqlalchemy: 'sqlalchemy', psycopg: 'psycopg[binary]' },
    },
    say,
  );
  const environment = {
    ...(await commandsOnPath(stand, folder, path)),
    PYTHONPATH: join(ROOT, 'deploy/engines/spark'),
    ...(python === undefined ? {} : { PYSPARK_PYTHON: python }),
  };
  let [ran, failed] = [0, 0];
  for (const snippet of await snippetsOf()) {
    if (snippet.language === 'python' && python === undefined) continue;
    ran++;
    try {
      await runSnippet(snippet, { stand, folder, environment, python: python ?? 'python3' });
    } catch (error) {
      failed++;
      const { stderr = '', message } = error as { stderr?: string; message: string };
      say(
        `docs/${snippet.page}.md fails: ${snippet.text.split('\n')[0]}: ${(stderr || message).slice(-600)}`,
      );
    }
  }
  return { ran, failed };
}

async function runSnippet(
  snippet: Snippet,
  {
    stand,
    folder,
    environment,
    python,
  }: {
    readonly stand: EnginesStand;
    readonly folder: string;
    readonly environment: Record<string, string>;
    readonly python: string;
  },
): Promise<void> {
  const text = placed(snippet, stand, folder);
  const options = { cwd: folder, env: environment, timeout: SNIPPET_MS };
  switch (snippet.language) {
    case 'sql': {
      await using sql = await connectSql(stand.sqlUrl);
      await sql.query(text);
      return;
    }
    case 'yaml': {
      const model = join(folder, /^name: (\S+)$/m.exec(text)?.[1] ?? '');
      await mkdir(model, { recursive: true });
      await writeFile(join(model, 'model.yaml'), text);
      return;
    }
    case 'python':
      await run(python, ['-c', text], options);
      return;
    case 'sh':
      await run('bash', ['--norc', '-euo', 'pipefail', '-c', text], options);
  }
}

async function snippetsOf(): Promise<Snippet[]> {
  const snippets: Snippet[] = [];
  for (const page of PAGES) {
    const text = await readFile(join(ROOT, 'docs', `${page}.md`), 'utf8');
    for (const [, language, body = ''] of text.matchAll(/```(sh|sql|python|yaml)\n([\s\S]*?)```/g))
      snippets.push({ page, language: language as Snippet['language'], text: body });
  }
  return snippets;
}

/** Replaces addresses, folders and the key of the pages by those of this platform. */
function placed({ text, language }: Snippet, stand: EnginesStand, folder: string): string {
  const moved = text
    .replaceAll('127.0.0.1:7405', stand.local.sqlAddress ?? '')
    .replaceAll('hotloop.internal:7405', stand.local.sqlAddress ?? '')
    .replaceAll('models.internal:8001', stand.local.addresses.compute)
    .replaceAll('--api-key KEY ', '')
    .replaceAll('node deploy/', 'node "$ROOT"/deploy/')
    .replaceAll('/data/', `${folder}/`);
  return language === 'sql'
    ? moved.replaceAll(`'sessions.parquet'`, `'${join(folder, 'sessions.parquet')}'`)
    : moved;
}

/** Prepares the files, models and the command that the pages mention. */
async function prepare(stand: EnginesStand, folder: string): Promise<void> {
  const { client, connection } = stand;
  const promoted = async (bundle: Parameters<typeof client.models.push>[0]) => {
    const { version } = await client.models.push(bundle).finished();
    await client.models.promote(version.model, version.version).finished();
  };
  await mkdir(folder, { recursive: true });
  const rows = await stand.writeRows('snippet-rows.parquet', 500);
  await connection.run(
    `COPY (SELECT * FROM '${rows}') TO '${join(folder, 'sessions.parquet')}' (FORMAT parquet)`,
  );
  const ranker = await readFile(join(ROOT, 'examples/storefront/model.yaml'), 'utf8');
  const shelf = [
    { id: 'a', category: 'coats', price: 20, rating: 4 },
    { id: 'b', category: 'lamps', price: 5, rating: 3 },
  ];
  const asked = ['ada', 'bob'].map((user) => ({ user, device: 'phone', hour: 9, candidates: shelf }));
  await writeFile(join(folder, 'requests.jsonl'), asked.map((line) => `${JSON.stringify(line)}\n`).join(''));
  await writeFile(join(folder, 'cohort.csv'), 'user,visits\nada,3\nbob,1\n');
  const visitors = `name: visitors
task: regression
features:
  - {name: views, from: history.user.view.count, window: 30d, missing: 0}
  - {name: visits, from: request.visits}
training: {network: {hidden: [4]}}
`;
  const kind = `name: visitor-kind
task: binary
features:
  - {name: pages, from: request.pages}
decision: {labels: [new, loyal]}
training: {network: {hidden: [4]}}
`;
  const trained = ranker.replace(/^training:$/m, 'training:\n  network: {hidden: [8]}');
  for (const manifestYaml of [trained, visitors, kind]) await promoted({ manifestYaml, untrained: true });
  // What the page about remote models calls another server is the compute service of this one.
  const forest = {
    inputs: 3,
    hidden: [4],
    outputs: 1,
    activation: 'relu',
    head: 'sigmoid',
    seed: 2,
  } as const;
  await promoted({ name: 'churn-forest', onnx: perceptron(forest) });
  await connection.run(
    `COPY (SELECT n % 17 AS pages, n % 5 AS items, (n % 17) > 8 AS bought FROM range(400) t(n)) TO '${join(folder, 'visits.csv')}' (FORMAT csv, HEADER)`,
  );
}
