import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { echoModel, tensorManifest } from './testing/echo-models.ts';
import { featureManifest, modelOf, storeVersion } from './testing/model-bundles.ts';
import { pythonWith } from './testing/python-client.ts';
import { startTestCompute } from './testing/start-test-compute.ts';

const SCRIPT = fileURLToPath(new URL('./testing/triton-client-check.py', import.meta.url));

describe('the unmodified tritonclient', () => {
  it('works over gRPC and HTTP', async (context) => {
    const found = await pythonWith('triton-client', ['tritonclient[grpc,http]']);
    if ('reason' in found) {
      console.warn(`not run: ${found.reason}`);
      context.skip();
      return;
    }
    await using test = await startTestCompute({ httpListen: '127.0.0.1:0' });
    const versions = [
      await storeVersion(test.store, 1, featureManifest('tiny', 4)),
      await storeVersion(
        test.store,
        1,
        tensorManifest('text'),
        echoModel([{ name: 'x', elementType: 'string', shape: ['N'] }]),
      ),
      await storeVersion(
        test.store,
        1,
        tensorManifest('half'),
        echoModel([{ name: 'x', elementType: 'float16', shape: ['N'] }]),
      ),
    ];
    for (const version of versions) test.registry.set(modelOf([version], { live: 1 }));
    test.registry.publish();
    for (const version of versions) await test.until(version.model, 1, 'ready');
    const { compute } = test;
    const result = await promisify(execFile)(found.python, [SCRIPT, compute.address, compute.httpAddress], {
      timeout: 60_000,
    }).catch((error: { stdout?: string; stderr?: string }) => ({
      stdout: `${error.stdout}\n${error.stderr}`,
    }));
    expect(result.stdout).toContain('all checks passed');
  }, 300_000);
});
