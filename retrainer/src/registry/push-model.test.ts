import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { decodeModel } from '@hotloop/model/onnx/model.ts';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { unary } from '@hotloop/platform/grpc/handlers.ts';
import { startGrpcServer } from '@hotloop/platform/grpc/server.ts';
import { loadOipDefinitions } from '@hotloop/proto/definitions.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf, linearModel, manifestText, openStores, type Stores } from '../testing/fixture.ts';
import { getModel } from './list-models.ts';
import { type PushHeader, pushModel } from './push-model.ts';
import { pushSharedFeatures } from './shared-features.ts';
import { registerVersion } from './version-store.ts';

const LIMITS = { maxOnnxBytes: 1 << 20 };
const MODEL = linearModel();

const golden = (input: string, score: string) =>
  `golden: {examples: [{inputs: {input: ${input}}, outputs: {score: ${score}}}]}\n`;

async function pushed(
  stores: Stores,
  change: Partial<PushHeader> = {},
  bytes: readonly Uint8Array[] = [MODEL],
) {
  const whole = Buffer.concat(bytes);
  const header = {
    manifestYaml: manifestText('m'),
    name: '',
    onnxSha256: digestOf(whole),
    onnxBytes: whole.length,
    note: '',
    ...change,
  };
  const chunks = async function* () {
    yield* bytes;
  };
  return pushModel(header, chunks(), 'ada', { ...stores, clock: systemClock }, LIMITS);
}

describe('pushing a model', () => {
  it('numbers bundles 1, 2, 3 and recognises a registered one', async () => {
    await using stores = await openStores();
    expect(await pushed(stores)).toEqual({ model: 'm', version: 1, created: true });
    expect(await pushed(stores, {}, [linearModel(2)])).toMatchObject({ version: 2, created: true });
    expect(await pushed(stores)).toEqual({ model: 'm', version: 1, created: false });
    const other = manifestText('m', 'decision: {threshold: 0.7}\n');
    expect(await pushed(stores, { manifestYaml: other })).toMatchObject({ version: 3, created: true });
    const { versions } = await getModel(stores.pool, 'm');
    expect(versions.map((version) => version.version)).toEqual([3, 2, 1]);
    const bundle = await stores.bundles.get(versions[0]!.bundleSha256);
    expect(bundle.manifestYaml).toBe(other);
    expect(digestOf(bundle.onnx)).toBe(versions[0]!.onnxSha256);
  });

  it('pins shared features: a later features.yaml does not change pushed versions', async () => {
    await using stores = await openStores();
    const shared = (missing: number) => `features:\n  - {name: a, from: request.a, missing: ${missing}}\n`;
    const manifestYaml = 'name: m\nfeatures: [{use: a}, {name: b, from: request.b}]\n';
    await expect(pushed(stores, { manifestYaml })).rejects.toThrow(/features.0.use.*no features.yaml/);
    const put = (yaml: string) => pushSharedFeatures(stores.pool, yaml, 'ada', Date.now());
    expect(await put(shared(1))).toEqual({ version: 1, features: ['a'] });
    expect(await put(shared(1))).toMatchObject({ version: 1 });
    await pushed(stores, { manifestYaml });
    expect(await put(shared(2))).toMatchObject({ version: 2 });
    await pushed(stores, { manifestYaml });
    const { versions } = await getModel(stores.pool, 'm');
    const taken = versions.map(async ({ bundleSha256 }) => {
      const bundle = await stores.bundles.get(bundleSha256);
      const [feature] = parseManifest(bundle.manifestYaml).features;
      return [feature?.missing, feature?.shared?.version];
    });
    expect(await Promise.all(taken)).toEqual([
      [2, 2],
      [1, 1],
    ]);
  });

  it('gives concurrent registrations numbers without gaps or repetition', async () => {
    await using stores = await openStores();
    await pushed(stores);
    const bundles = Array.from({ length: 40 }, (_, index) => digestOf(Uint8Array.of(index % 30)));
    const results = await Promise.all(
      bundles.map((bundleSha256) =>
        registerVersion(stores.pool, {
          model: 'm',
          bundleSha256,
          onnxSha256: bundleSha256,
          manifest: parseManifest(manifestText('m')),
          note: '',
          trained: null,
          actor: 'ada',
          at: 0,
        }),
      ),
    );
    const numbers = results.filter((one) => one.created).map((one) => one.version);
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, index) => index + 2));
    expect(results[0]!.version).toBe(results[30]!.version);
  });

  it('starts with the declared untrained network without a file, and refuses that for a tensor model', async () => {
    await using stores = await openStores();
    const none = { onnxSha256: '', onnxBytes: 0 };
    const manifestYaml = manifestText('fresh', 'training: {network: {hidden: [5]}, seed: 3}\n');
    expect(await pushed(stores, { ...none, manifestYaml }, [])).toMatchObject({ model: 'fresh', version: 1 });
    const [version] = (await getModel(stores.pool, 'fresh')).versions;
    const described = inspectModel((await stores.bundles.get(version!.bundleSha256)).onnx);
    expect(described.outputs.map((output) => output.name)).toEqual(['score']);
    expect(described.operators).toMatchObject({ Sigmoid: 1 });
    await expect(
      pushed(stores, { ...none, manifestYaml: 'name: bare\ntask: tensor\n' }, []),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('keeps trained weights for an edited model.yaml without a file, and refuses if they would be lost', async () => {
    await using stores = await openStores();
    const none = { onnxSha256: '', onnxBytes: 0 };
    await pushed(stores, { manifestYaml: manifestText('m', golden('[[0, 0]]', '[[0.5]]')) }, [
      linearModel(7),
    ]);
    const edited = manifestText('m', 'decision: {threshold: 0.9}\n');
    const kept = await pushed(stores, { ...none, manifestYaml: edited }, []);
    expect(kept).toEqual({ model: 'm', version: 2, created: true, weightsFrom: 1 });
    const [version] = (await getModel(stores.pool, 'm')).versions;
    expect(version).toMatchObject({
      onnxSha256: digestOf(linearModel(7)),
      note: expect.stringContaining('version 1'),
    });
    const { manifestYaml } = await stores.bundles.get(version!.bundleSha256);
    expect(parseManifest(manifestYaml)).toMatchObject({
      decision: { threshold: 0.9 },
      golden: { examples: [{ outputs: { score: [[0.5]] } }] },
    });
    const other = edited.replace('{name: y, from: request.y}', '{name: z, from: request.z}');
    await expect(pushed(stores, { ...none, manifestYaml: other }, [])).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'weights_do_not_fit',
      message: expect.stringMatching(/version 2.*added z; removed y.*--untrained/),
    });
    expect(await pushed(stores, { ...none, manifestYaml: other, untrained: true }, [])).toEqual({
      model: 'm',
      version: 3,
      created: true,
    });
  });

  it('keeps trained weights when a feature or category is added, with weight 0 for the new columns', async () => {
    await using stores = await openStores();
    const without = manifestText('m', golden('[[0, 0]]', '[[0.5]]'));
    await pushed(stores, { manifestYaml: without }, [linearModel(7)]);
    const month = '{name: month, from: request.month, transform: [{one_hot: [Jan, Feb]}]}';
    const manifestYaml = manifestText('m').replace('  - {name: y', `  - ${month}\n  - {name: y`);
    const none = { onnxSha256: '', onnxBytes: 0 };
    expect(await pushed(stores, { ...none, manifestYaml }, [])).toEqual({
      ...{ model: 'm', version: 2, created: true, weightsFrom: 1 },
      newColumns: ['month = Jan', 'month = Feb'],
    });
    const [version] = (await getModel(stores.pool, 'm')).versions;
    expect(version?.note).toMatch(/weights of version 1, with weight 0 for month = Jan, month = Feb/);
    const bundle = await stores.bundles.get(version!.bundleSha256);
    expect(parseManifest(bundle.manifestYaml).golden).toBeUndefined();
    const weightsOf = (onnx: Uint8Array) => [...decodeModel(onnx).graph.initializers.values()][0]!;
    const { dims, data } = weightsOf(bundle.onnx);
    const old = weightsOf(linearModel(7)).data;
    expect([dims, [...data]]).toEqual([
      [4, 1],
      [old[0], 0, 0, old[1]],
    ]);
  });

  it('starts again with initial weights if none were trained yet', async () => {
    await using stores = await openStores();
    const none = { onnxSha256: '', onnxBytes: 0 };
    await pushed(stores, { ...none, manifestYaml: manifestText('m') }, []);
    const wider = manifestText('m').replace('  - {name: y', '  - {name: z, from: request.z}\n  - {name: y');
    const again = await pushed(stores, { ...none, manifestYaml: wider }, []);
    expect(again).toEqual({ model: 'm', version: 2, created: true });
  });

  it('serves a bare ONNX file under a name as a tensor model', async () => {
    await using stores = await openStores();
    expect(await pushed(stores, { manifestYaml: '', name: 'bare' })).toMatchObject({
      model: 'bare',
      version: 1,
    });
    expect((await getModel(stores.pool, 'bare')).model.task).toBe('tensor');
  });

  describe('of invalid input', () => {
    let stores: Stores;
    beforeAll(async () => {
      stores = await openStores();
    });
    afterAll(() => stores[Symbol.asyncDispose]());

    it.each<[string, Partial<PushHeader>, readonly Uint8Array[], string]>([
      ['another digest than declared', { onnxSha256: 'a'.repeat(64) }, [MODEL], 'onnx_sha256'],
      ['a digest that is none', { onnxSha256: 'xyz' }, [MODEL], 'onnx_sha256'],
      ['fewer bytes than declared', { onnxBytes: MODEL.length + 1 }, [MODEL], 'onnx_bytes'],
      ['more bytes than declared', { onnxBytes: MODEL.length - 1 }, [MODEL], 'onnx_bytes'],
      ['an empty file', {}, [], 'onnx_bytes'],
      ['a corrupt ONNX file', {}, [MODEL.subarray(0, 40)], 'ONNX'],
      ['text instead of ONNX', {}, [Buffer.from('not a model at all')], 'ONNX'],
      ['a manifest that is not YAML', { manifestYaml: 'name: [m' }, [MODEL], 'model.yaml'],
      ['an unknown field', { manifestYaml: manifestText('m', 'colour: red\n') }, [MODEL], 'colour'],
      [
        'columns that do not fit',
        {
          manifestYaml: manifestText('m', '').replace(
            'from: request.y',
            'from: request.y, transform: [{one_hot: [1, 2]}]',
          ),
        },
        [MODEL],
        'features',
      ],
      [
        'an output that is not there',
        { manifestYaml: manifestText('m', 'output: probability\n') },
        [MODEL],
        'output',
      ],
      [
        'an expression that cannot be read',
        { manifestYaml: manifestText('m', 'outcome: {positive: "event.type =="}\n') },
        [MODEL],
        'outcome.positive',
      ],
      [
        'golden rows of another width',
        { manifestYaml: manifestText('m', golden('[[1, 2, 3]]', '[[0.5]]')) },
        [MODEL],
        'golden.examples.0: input "input" has shape [1,3], but the model\'s is [N, 2]',
      ],
      [
        'golden values that are none',
        { manifestYaml: manifestText('m', golden('[[1, .inf]]', '[[0.5]]')) },
        [MODEL],
        'golden.examples.0.inputs.input',
      ],
      [
        'golden outputs that the model does not have',
        { manifestYaml: manifestText('m', golden('[[1, 2]]', '[[0.5]]').replace('score', 'probability')) },
        [MODEL],
        'golden.examples.0: the model has no output "probability"; it has "score"',
      ],
      [
        'golden outputs of a network that is not trained yet',
        { manifestYaml: manifestText('m', golden('[[1, 2]]', '[[0.5]]')), onnxSha256: '', onnxBytes: 0 },
        [],
        'golden.examples: an untrained network gives no outputs that are known',
      ],
      ['another name than the manifest says', { name: 'other' }, [MODEL], 'name'],
      ['no name and no manifest', { manifestYaml: '' }, [MODEL], 'name'],
      ['a name that is a path', { manifestYaml: '', name: '../../etc' }, [MODEL], 'name'],
    ])('refuses %s, naming the field, and stores nothing', async (_title, change, bytes, field) => {
      await expect(pushed(stores, change, bytes)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(field),
      });
      const { rows } = await stores.pool.query('SELECT 1 FROM model');
      expect(rows).toEqual([]);
    });
  });

  it('keeps golden examples in the bundle, and not in the snapshot that every service reads', async () => {
    await using stores = await openStores();
    const manifestYaml = manifestText('m', golden('[[1, 2], [3, 4]]', '[[0.5], [0.25]]'));
    expect(await pushed(stores, { manifestYaml })).toMatchObject({ version: 1, created: true });
    await stores.registry.refresh();
    const record = stores.registry.current().models.get('m')?.versions.get(1);
    expect(record?.manifest.golden).toBeUndefined();
    const bundle = await stores.bundles.get(record!.bundleSha256);
    expect(parseManifest(bundle.manifestYaml).golden?.examples).toHaveLength(1);
    // Another expected output makes another version, because the digest covers it.
    const other = manifestText('m', golden('[[1, 2], [3, 4]]', '[[0.5], [0.26]]'));
    expect(await pushed(stores, { manifestYaml: other })).toMatchObject({ version: 2, created: true });
  });

  it('refuses more bytes than its limit before they are sent', async () => {
    await using stores = await openStores();
    await expect(pushed(stores, { onnxBytes: LIMITS.maxOnnxBytes + 1 })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'model_too_large',
    });
  });
});

describe('a model that another server runs', () => {
  it('is registered with the inputs and outputs that the server declares', async () => {
    await using stores = await openStores();
    const tensor = (name: string, width: number) => ({ name, datatype: 'FP32', shape: [-1, width] });
    const refused = async () => {
      throw new Error('not asked');
    };
    const handlers = Object.fromEntries(
      Object.keys(loadOipDefinitions()['inference.GRPCInferenceService'] ?? {}).map((method) => [
        method,
        unary(
          method === 'ModelMetadata'
            ? async () => ({ name: 'far', inputs: [tensor('input', 2)], outputs: [tensor('y', 1)] })
            : refused,
        ),
      ]),
    );
    await using server = await startGrpcServer({
      services: [{ name: 'inference.GRPCInferenceService', handlers }],
      address: '127.0.0.1:0',
      authenticator: createAuthenticator(undefined),
      definitions: loadOipDefinitions(),
      log: stores.log,
    });
    const none = { onnxSha256: '', onnxBytes: 0 };
    const yaml = (address: string) =>
      manifestText('m', `runtime: {remote: "grpc://${address}", model: far}\n`);
    const manifestYaml = yaml(server.address);
    await expect(pushed(stores, { manifestYaml })).rejects.toThrow(/runtime.remote.*no model.onnx/);
    expect(await pushed(stores, { manifestYaml, ...none }, [])).toMatchObject({ version: 1, created: true });
    expect(await pushed(stores, { manifestYaml, ...none }, [])).toMatchObject({ version: 1, created: false });
    await server.drain(100);
    await expect(pushed(stores, { manifestYaml: yaml('127.0.0.1:1'), ...none }, [])).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'remote_model',
    });
  });
});
