import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hasHome, layoutViolations, type SourceFile } from './layout-rules.ts';
import { TABLE_WRITERS } from './table-access.ts';

const root = join(import.meta.dirname, '..');

function trackedSources(): SourceFile[] {
  const listed = execFileSync('git', ['ls-files', '*.ts', '*.tsx'], { cwd: root, encoding: 'utf8' }).split(
    '\n',
  );
  return listed
    .filter(
      (path) =>
        path !== '' && !path.includes('/gen/') && !path.endsWith('.d.ts') && existsSync(join(root, path)),
    )
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

describe('layout', () => {
  it('keeps import directions, homes of libraries, names and sizes', () => {
    expect(layoutViolations(trackedSources())).toEqual([]);
  });

  it('names the home of every library that a package depends on', () => {
    const listed = execFileSync('git', ['ls-files', '*package.json'], { cwd: root, encoding: 'utf8' });
    const dependencies = listed
      .trim()
      .split('\n')
      .flatMap((path) => Object.keys(JSON.parse(readFileSync(join(root, path), 'utf8')).dependencies ?? {}));
    expect(dependencies).toContain('zod');
    expect(hasHome('left-pad')).toBe(false);
    const homeless = dependencies.filter((name) => !name.startsWith('@hotloop/') && !hasHome(name));
    expect([...new Set(homeless)]).toEqual([]);
  });

  it('numbers every migration once, without gaps', () => {
    const names = readdirSync(join(root, 'platform/src/postgres/migrations')).sort();
    expect(names.map((name) => Number(name.slice(0, 4)))).toEqual(names.map((_, index) => index + 1));
  });

  it('names the writer of every table that SQL writes', () => {
    const folder = join(root, 'platform/src/postgres/migrations');
    const sql = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
    const made = sql.flatMap((text) =>
      [...text.matchAll(/CREATE TABLE (\w+)/g)].map(([, name]) => name ?? ''),
    );
    // These are written by triggers alone.
    const counted = ['registry_change', 'outcome_count', 'outcome_waiting_count', 'dead_letter_count'];
    const unnamed = made.filter((name) => !Object.hasOwn(TABLE_WRITERS, name) && !counted.includes(name));
    expect(unnamed).toEqual([]);
  });

  it('has one README, license and change log at the root', () => {
    for (const name of ['README.md', 'LICENSE', 'CHANGELOG.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'])
      expect(existsSync(join(root, name)), name).toBe(true);
  });
});

describe('the layout checker', () => {
  const planted: [string, SourceFile][] = [
    [
      'a service that imports another',
      { path: 'compute/src/a.ts', text: "import { x } from '@hotloop/retrainer/b.ts';" },
    ],
    [
      'a relative path into another folder',
      { path: 'compute/src/a.ts', text: "import { x } from '../../retrainer/src/b.ts';" },
    ],
    [
      'an inner folder that imports an outer one',
      { path: 'platform/src/a.ts', text: "import { x } from '@hotloop/compute/b.ts';" },
    ],
    ['a library away from home', { path: 'preprocessor/src/a.ts', text: "import { Kafka } from 'kafkajs';" }],
    ['a dynamic import away from home', { path: 'compute/src/a.ts', text: "await import('bullmq')" }],
    ['a file that is too long', { path: 'compute/src/a.ts', text: 'x;\n'.repeat(401) }],
    ['a name that explains nothing', { path: 'compute/src/utils.ts', text: '' }],
    ['a name in another case', { path: 'compute/src/FooBar.ts', text: '' }],
    ['a component in another case', { path: 'console/src/FooBar.tsx', text: '' }],
    ['an environment read deep inside', { path: 'compute/src/a.ts', text: 'const x = process.env.HOME;' }],
    ['a focused test', { path: 'compute/src/a.test.ts', text: `it.${'only'}('x', () => {})` }],
    [
      'a test that sleeps',
      {
        path: 'compute/src/a.test.ts',
        text: `await new ${'Promise'}((resolve) => setTimeout(resolve, 500));`,
      },
    ],
    [
      'a library whose folder only begins like its home',
      { path: 'platform/src/kafka-extra/a.ts', text: "import { Kafka } from 'kafkajs';" },
    ],
    [
      'a statement that writes a table of another module',
      { path: 'retrainer/src/control/a.ts', text: 'query(`UPDATE training_run SET state = 1`)' },
    ],
    [
      'a query that reads a table of another module',
      {
        path: 'retrainer/src/improve/a.ts',
        text: 'query(`SELECT 1 FROM prediction JOIN model_version USING (model)`)',
      },
    ],
    [
      'a framed client that imports other infrastructure',
      { path: 'platform/src/framed/a.ts', text: "import { x } from '../postgres/pool.ts';" },
    ],
    [
      'a journal that imports a service',
      { path: 'platform/src/journal/a.ts', text: "import { x } from '@hotloop/compute/b.ts';" },
    ],
    [
      'a client library that imports infrastructure',
      { path: 'client-sdk/src/a.ts', text: "import { x } from '@hotloop/platform/log.ts';" },
    ],
    ['a default export', { path: 'compute/src/a.ts', text: 'export default 1;' }],
  ];
  it.each(planted)('catches %s', (_, file) => {
    expect(layoutViolations([file])).not.toEqual([]);
  });

  it('catches an import cycle, type-only imports included, and names it', () => {
    const files: SourceFile[] = [
      { path: 'compute/src/a.ts', text: "import type { B } from './b.ts';" },
      { path: 'compute/src/b.ts', text: "import { c } from '@hotloop/compute/c.ts';" },
      { path: 'compute/src/c.ts', text: "import { a } from './a.ts';" },
    ];
    expect(layoutViolations(files)).toContain(
      'import cycle: compute/src/a.ts -> compute/src/b.ts -> compute/src/c.ts -> compute/src/a.ts',
    );
  });

  it('accepts what is allowed', () => {
    const file = {
      path: 'compute/src/a.ts',
      text: "import { x } from '@hotloop/proto/errors.ts';\nimport { y } from './b.ts';\n",
    };
    expect(layoutViolations([file])).toEqual([]);
  });
});
