import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, HotloopClientError } from '@hotloop/client';
import { makeTestCertificates } from '@hotloop/platform/testing/test-certificates.ts';
import { ANY_PORTS, startLocal } from '../../local/start-local.ts';
import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

/** How long a client tries to connect before it counts as rejected. */
const REFUSED_MS = 3000;

const mutualTls: TourStep = {
  name: 'tls-with-keys',
  about:
    'A second platform takes only callers with a certificate and a key; it refuses those that lack either.',
  async run(context) {
    const folder = join(context.folder, 'secured');
    await mkdir(folder);
    const files = await makeTestCertificates(folder);
    const key = randomBytes(16).toString('hex');
    await using local = await startLocal(
      {
        ...{ dir: join(folder, 'platform'), cacheDir: context.cacheFolder, fresh: true, single: true },
        ...{ ports: ANY_PORTS, addresses: {}, say: () => undefined },
        environment: {
          HOTLOOP_API_KEYS: `${key}:shop:predict+feedback+operate`,
          HOTLOOP_TLS_CERT: files.certificate,
          HOTLOOP_TLS_KEY: files.key,
          HOTLOOP_TLS_CA: files.ca,
        },
      },
      context.signal,
    );
    const [ca, certificate, privateKey] = await Promise.all([
      readFile(files.ca),
      readFile(files.certificate),
      readFile(files.key),
    ]);
    const addresses = {
      address: local.addresses.preprocessor.replace('127.0.0.1', 'localhost'),
      retrainerAddress: local.addresses.retrainer.replace('127.0.0.1', 'localhost'),
      timeoutMs: REFUSED_MS,
    };
    const identified = { rootCertificates: ca, privateKey, certificate };
    const codeOf = async (options: Parameters<typeof connect>[0]) => {
      try {
        await using client = await connect({ ...addresses, ...options });
        await client.models.list();
        return 'accepted';
      } catch (error) {
        if (error instanceof HotloopClientError) return error.code;
        throw error;
      }
    };
    const accepted = await codeOf({ apiKey: key, tls: identified });
    expectThat(accepted === 'accepted', 'the caller with both to be accepted', accepted);
    const keyless = await codeOf({ tls: identified });
    expectThat(keyless === 'UNAUTHENTICATED', 'UNAUTHENTICATED without a key', keyless);
    const anonymous = await codeOf({ apiKey: key, tls: { rootCertificates: ca } });
    expectThat(anonymous !== 'accepted', 'a refusal without a certificate', anonymous);
    const plain = await codeOf({ apiKey: key });
    expectThat(plain !== 'accepted', 'a refusal without TLS', plain);
    return `accepted with both; without a key ${keyless}, without a certificate ${anonymous}`;
  },
};

export const SECURITY_STEPS: readonly TourStep[] = [mutualTls];
