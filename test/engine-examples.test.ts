import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { COMMAND_GROUPS } from '@hotloop/cli/commands/commands.ts';
import { expect, it } from 'vitest';
import { parse } from 'yaml';

const FOLDER = fileURLToPath(new URL('../deploy/engines/examples', import.meta.url));
const COMMANDS = new Set(COMMAND_GROUPS.flatMap(({ commands }) => Object.keys(commands)));
const read = (name: string) => readFileSync(`${FOLDER}/${name}`, 'utf8');

/** The first words after `hotloop` of every command in a text. */
function commandsOf(text: string): string[] {
  return [...text.matchAll(/(?:^|[\s'"`])hotloop ([a-z]+)/gm)].map((match) => match[1] ?? '');
}

it('has a valid CI workflow for GitHub Actions with existing commands', () => {
  const workflow = parse(read('github-actions.yaml')) as {
    on: object;
    jobs: Record<string, { 'runs-on': string; steps: { uses?: string; run?: string }[] }>;
  };
  expect(Object.keys(workflow.on).sort()).toEqual(['pull_request', 'push']);
  const jobs = Object.values(workflow.jobs);
  expect(jobs.length).toBeGreaterThan(0);
  for (const { 'runs-on': machine, steps } of jobs) {
    expect(machine).toBe('ubuntu-latest');
    for (const step of steps) expect([step.uses, step.run].filter(Boolean)).toHaveLength(1);
  }
  const runs = jobs.flatMap(({ steps }) => steps.flatMap(({ run }) => (run === undefined ? [] : [run])));
  expect(commandsOf(runs.join('\n'))).toEqual(['plan', 'apply']);
});

it('has Python examples that parse, and a DAG with existing commands', (context) => {
  const python = ['/usr/bin/python3', '/usr/local/bin/python3'].find((path) => existsSync(path));
  if (python === undefined) {
    console.warn('not run: this machine has no Python');
    context.skip();
    return;
  }
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.py'));
  expect(files).toContain('airflow_dag.py');
  const check = 'import ast, sys\nfor path in sys.argv[1:]: ast.parse(open(path).read(), path)';
  execFileSync(python, ['-c', check, ...files.map((name) => `${FOLDER}/${name}`)]);
  const commands = commandsOf(read('airflow_dag.py'));
  expect(commands.length).toBeGreaterThanOrEqual(3);
  for (const command of commands) expect(COMMANDS).toContain(command);
});

it('names only existing commands in the pages of engines, batch, SQL and serverless', () => {
  for (const page of ['batch', 'sql', 'serverless', 'engines', 'portable-models', 'remote-models']) {
    const text = readFileSync(fileURLToPath(new URL(`../docs/${page}.md`, import.meta.url)), 'utf8');
    const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1] ?? '').join('\n');
    for (const command of commandsOf(blocks.replaceAll(/--api-key \S+ /g, '')))
      expect(COMMANDS, page).toContain(command);
  }
});
