import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { nameSchema } from '@hotloop/model/manifest/schema-parts.ts';
import { openEventArchive } from '@hotloop/platform/archive/event-archive.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { z } from 'zod';
import { type FirstVersionDependencies, trainFirstVersion } from '../improve/train-first-version.ts';
import { importOutcomes } from '../outcomes/import-outcomes.ts';
import type { OutcomeDependencies } from '../outcomes/record-outcomes.ts';
import { findVersionManifest } from '../registry/find-manifest.ts';
import { permitPush } from '../registry/permit-push.ts';
import { type DatasetRow, datasetKey, findDataset, listDatasets } from './dataset-store.ts';
import { draftModel } from './draft-model.ts';
import { importDataset } from './import-dataset.ts';
import { EVENTS_COUNT_FROM } from './past-events.ts';
import { readTable } from './read-table.ts';
import { MOST_UPLOAD_BYTES, receiveTable } from './uploads.ts';

export interface DatasetRouteDependencies extends FirstVersionDependencies {
  readonly outcomes: OutcomeDependencies;
}

const TRAIN_MS = 3_600_000;
/** In the query, where proxies and Node bound the request line; longer ones come before the file in the body. */
const MOST_MANIFEST_CHARACTERS = 60_000;
const MOST_MANIFEST_BYTES = 4 * 1024 * 1024;

/** A draft needs the beginning of a file only. */
const MOST_DRAFT_BYTES = 32 * 1024 * 1024;

const draftSchema = z.object({
  ...{ yaml: z.string(), task: z.string(), label: z.string(), features: z.array(z.string()) },
  findings: z.array(z.object({ column: z.string(), finding: z.string(), detail: z.string() })),
  example: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
});

const datasetSchema = z.object({
  sha256: z.string(),
  model: z.string(),
  kind: z.enum(['collected', 'imported', 'built']),
  examples: z.int(),
  columns: z.int(),
  positives: z.int(),
  cut: z.int(),
  bytes: z.int(),
  parts: z.record(z.string(), z.number()),
  parentSha256: z.string().nullable(),
  from: z.string().nullable(),
  to: z.string().nullable(),
  detail: z.record(z.string(), z.unknown()),
  createdAt: z.string(),
});

const columnsQuery = z.object({
  label: z.string().min(1).describe('The column that holds the label'),
  at: z.string().optional().describe('The column that holds the time of each row, in RFC 3339'),
});

const eventsQuery = z
  .enum(EVENTS_COUNT_FROM)
  .default('arrival')
  .describe('From when on an event counts: its arrival, or its own time where it was imported later');

/** `/v1/datasets` and imports: list, show, download; history from a file; a first version from a file. */
export function datasetRoutes(dependencies: DatasetRouteDependencies): RouteModule {
  const { pool, objects } = dependencies;
  return (app) => {
    app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
    app.get(
      '/v1/datasets',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'The newest datasets',
          querystring: z.object({ model: z.string().optional() }),
          response: { 200: z.object({ datasets: z.array(datasetSchema) }) },
        },
      },
      async ({ query }) => ({ datasets: (await listDatasets(pool, query.model ?? null)).map(shown) }),
    );
    app.get(
      '/v1/datasets/:sha256',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'One dataset, by its digest or the beginning of it',
          params: z.object({ sha256: z.string() }),
          response: { 200: datasetSchema },
        },
      },
      async ({ params }) => shown(await findDataset(pool, params.sha256)),
    );
    app.get(
      '/v1/datasets/:sha256/file',
      {
        config: { requires: 'operate' },
        schema: { summary: 'The rows of a dataset, as Parquet', params: z.object({ sha256: z.string() }) },
      },
      async ({ params }, reply) => {
        const { sha256 } = await findDataset(pool, params.sha256);
        const folder = await mkdtemp(join(tmpdir(), 'hotloop-download-'));
        const path = join(folder, 'dataset.parquet');
        const clean = () => rm(folder, { recursive: true, force: true });
        await objects.getFile(datasetKey(sha256), path).catch(async (error: unknown) => {
          await clean();
          throw error;
        });
        const stream = createReadStream(path);
        stream.once('close', () => void clean());
        return reply.type('application/vnd.apache.parquet').send(stream);
      },
    );
    app.post(
      '/v1/models/:model/history',
      {
        config: { requires: 'operate' },
        bodyLimit: MOST_UPLOAD_BYTES + 1,
        schema: {
          summary:
            'Labelled examples from a file (CSV, JSONL or Parquet): history that later versions learn from; or, with a column prediction_id, outcomes of predictions',
          params: z.object({ model: z.string() }),
          querystring: columnsQuery,
        },
      },
      async ({ params, query, body }) => {
        await using file = await receiveTable(body as Readable);
        const manifest = await findVersionManifest(dependencies, params.model);
        const columns = { label: query.label, at: query.at ?? null };
        if (await namesPredictions(file.path)) {
          const source = { sha256: file.sha256, ...columns };
          const { accepted, ...told } = await importOutcomes(
            readTable(file.path),
            manifest,
            source,
            dependencies.outcomes,
          );
          return { sha256: null, examples: accepted, positives: null, ...told };
        }
        using imported = await importDataset(file.path, manifest, columns, dependencies);
        const { sha256, examples, positives, refused, problems } = imported;
        return { sha256, examples, positives, refused, problems };
      },
    );
    app.post(
      '/v1/models/:model/datasets',
      {
        config: { requires: 'operate' },
        bodyLimit: MOST_UPLOAD_BYTES + 1,
        schema: {
          summary:
            'A training set from a file of labels with times: features as they were then, from archived events',
          params: z.object({ model: z.string() }),
          querystring: columnsQuery.extend({
            at: z.string().min(1).describe('The column that holds the time of each row, in RFC 3339'),
            events: eventsQuery,
          }),
        },
      },
      async ({ params, query, body }) => {
        await using file = await receiveTable(body as Readable);
        const manifest = await findVersionManifest(dependencies, params.model);
        await using archive = await openEventArchive(objects);
        const past = { archive, countFrom: query.events };
        using built = await importDataset(file.path, manifest, query, dependencies, past);
        const { sha256, examples, positives, refused, problems, withEvents } = built;
        return { sha256, examples, positives, refused, problems, rows_with_events: withEvents };
      },
    );
    app.post(
      '/v1/models/draft',
      {
        // It reads nothing but what was sent.
        config: { requires: 'operate', checksModel: true },
        bodyLimit: MOST_DRAFT_BYTES,
        schema: {
          summary:
            'Draft a model.yaml from the first rows of a file: types, ranges, categories, task and label',
          querystring: z.object({
            name: nameSchema,
            label: z
              .string()
              .min(1)
              .optional()
              .describe('The column to predict; else one named like a label, or the last'),
          }),
          response: { 200: draftSchema },
        },
      },
      async ({ query, body }) => {
        await using file = await receiveTable(body as Readable);
        const { features, findings, ...rest } = await draftModel(query.name, file.path, query.label);
        return { ...rest, features: [...features], findings: [...findings] };
      },
    );
    app.post(
      '/v1/models/first-version',
      {
        config: { requires: 'operate', checksModel: true },
        bodyLimit: MOST_MANIFEST_BYTES + MOST_UPLOAD_BYTES + 1,
        schema: {
          summary: 'Train a first version from a file with labels, and register it',
          querystring: columnsQuery.extend({
            manifest: z.string().max(MOST_MANIFEST_CHARACTERS).optional().describe('model.yaml as base64url'),
            manifest_bytes: z.coerce
              .number()
              .int()
              .min(1)
              .max(MOST_MANIFEST_BYTES)
              .optional()
              .describe('Instead: the body begins with model.yaml, so many bytes of UTF-8; the file follows'),
            events: eventsQuery,
          }),
        },
      },
      async ({ query, body, caller }) => {
        if ((query.manifest === undefined) === (query.manifest_bytes === undefined))
          throw new HotloopError(
            'INVALID_ARGUMENT',
            'send model.yaml once: as manifest, or before the file',
            { reason: 'invalid_request' },
          );
        const permit = (yaml: string) => permitPush(caller, parseManifest(yaml), dependencies.pool);
        const inQuery = query.manifest && Buffer.from(query.manifest, 'base64url').toString('utf8');
        if (inQuery !== undefined) await permit(inQuery);
        await using file = await receiveTable(body as Readable, query.manifest_bytes);
        const manifestYaml = inQuery ?? file.preface;
        if (inQuery === undefined) await permit(manifestYaml);
        const columns = { label: query.label, at: query.at ?? null };
        const actor = caller.subject || 'anonymous';
        return await trainFirstVersion(file.path, manifestYaml, columns, actor, dependencies, {
          timeoutMs: TRAIN_MS,
          permit: () => permit(manifestYaml),
          eventsCountFrom: query.events,
        });
      },
    );
  };
}

async function namesPredictions(path: string): Promise<boolean> {
  for await (const { cells } of readTable(path)) return 'prediction_id' in cells;
  return false;
}

function shown(dataset: DatasetRow) {
  const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    ...dataset,
    detail: { ...dataset.detail },
    parts: { ...dataset.parts },
    from: time(dataset.from),
    to: time(dataset.to),
    createdAt: new Date(dataset.createdAt).toISOString(),
  };
}
