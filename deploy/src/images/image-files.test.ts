import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SERVICE_VARIABLES } from '@hotloop/platform/start-up/settings.ts';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { IMAGES } from './image-tree.ts';

const DEPLOY = fileURLToPath(new URL('../..', import.meta.url));
const read = (...path: readonly string[]) => readFileSync(join(DEPLOY, ...path), 'utf8');
const NAMES = Object.keys(IMAGES).sort();

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly image?: string;
        readonly build?: { readonly target: string };
        readonly environment?: Readonly<Record<string, string>>;
        readonly depends_on?: Readonly<Record<string, unknown>>;
        readonly volumes?: readonly string[];
        readonly read_only?: boolean;
        readonly cap_drop?: readonly string[];
      }
    >
  >;
  readonly volumes: Readonly<Record<string, unknown>>;
}

it('has a stage in the Dockerfile, and a build in the workflow, for each image', () => {
  const stages = [...read('images', 'Dockerfile').matchAll(/^FROM service AS (\w+)$/gm)].map(
    ([, name]) => name,
  );
  expect(stages.sort()).toEqual(NAMES);
  const workflow = parse(read('engines', 'examples', 'images.yaml')) as {
    readonly jobs: {
      readonly image: { readonly strategy: { readonly matrix: { readonly target: string[] } } };
    };
  };
  expect(workflow.jobs.image.strategy.matrix.target.sort()).toEqual(NAMES);
});

it('composes our services without rights, with variables, volumes and services that exist', () => {
  const compose = parse(read('images', 'compose.yaml'), { merge: true }) as Compose;
  const names = Object.keys(compose.services);
  for (const [
    name,
    { image, build, environment = {}, depends_on = {}, volumes = [], ...rest },
  ] of Object.entries(compose.services)) {
    for (const other of Object.keys(depends_on)) expect(names, name).toContain(other);
    for (const volume of volumes) expect(Object.keys(compose.volumes), name).toContain(volume.split(':')[0]);
    if (build === undefined) {
      expect(image, name).toMatch(/:\S+$/);
      continue;
    }
    expect(NAMES).toContain(build.target);
    expect(rest, name).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
    for (const variable of Object.keys(environment))
      if (variable.startsWith('HOTLOOP_')) expect(SERVICE_VARIABLES, name).toContain(variable);
  }
});

it('says by the exit code of its health check whether the service is ready', async () => {
  let code = 200;
  const server = createServer((request, answer) =>
    answer.writeHead(request.url === '/readyz' ? code : 404).end(),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const check = (path: string) =>
    new Promise<number>((resolve) => {
      const args = [join(DEPLOY, 'images', 'health.mjs'), path];
      execFile(process.execPath, args, { env: {} }, (error) => resolve(error ? Number(error.code) : 0));
    });
  try {
    expect(await check(`${port}/readyz`)).toBe(0);
    code = 503;
    expect(await check(`${port}/readyz`)).toBe(1);
  } finally {
    server.close();
  }
  expect(await check(`${port}/readyz`)).toBe(1);
});
