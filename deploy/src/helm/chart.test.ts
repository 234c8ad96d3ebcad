import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';

const run = promisify(execFile);
const CHART = join(import.meta.dirname, '..', '..', 'helm', 'hotloop');
const hasHelm = await run('helm', ['version']).then(
  () => true,
  () => false,
);
if (!hasHelm) process.stderr.write('skipped: helm is not installed, so the chart is not rendered\n');

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly template?: { readonly spec: PodSpec } };
}
interface PodSpec {
  readonly automountServiceAccountToken: boolean;
  readonly securityContext: {
    readonly runAsNonRoot: boolean;
    readonly seccompProfile: { readonly type: string };
  };
  readonly containers: readonly {
    readonly env?: readonly { readonly name: string; readonly value?: string }[];
    readonly securityContext: Readonly<Record<string, unknown>>;
  }[];
}

async function render(settings: readonly string[]): Promise<Manifest[]> {
  const values = settings.flatMap((setting) => ['--set', setting]);
  const args = ['template', 'test', CHART, '--kube-version', '1.32.0', ...values];
  const { stdout } = await run('helm', args, { maxBuffer: 1 << 24 });
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as Manifest)
    .filter(Boolean);
}

const MATRIX: readonly (readonly string[])[] = [
  [],
  ['tls.secretName=certificates'],
  [
    'compute.gpu.count=1',
    'compute.gpu.provider=gke',
    'compute.gpu.type=nvidia-l4',
    'compute.executionProviders=cuda',
  ],
  [
    'compute.autoscaling.enabled=true',
    'compute.autoscaling.queueDepth=50',
    'preprocessor.autoscaling.enabled=true',
  ],
  ['keda.enabled=true', 'keda.topic=requests', 'kafkaBrokers=kafka:9092', 'trainingPool.enabled=true'],
  [
    'networkPolicy.enabled=false',
    'podDisruptionBudget.enabled=false',
    'ingress.enabled=true',
    'monitoring.podMonitor=true',
  ],
  [
    'image.digests.compute=sha256:abc',
    'environment.HOTLOOP_LOG_LEVEL=debug',
    'trainingPool.enabled=true',
    'tls.secretName=x',
  ],
];

describe.runIf(hasHelm)('the Helm chart', { timeout: 60_000 }, () => {
  it.each(MATRIX.map((settings) => [settings.join(' ') || 'defaults', settings] as const))(
    'renders pods that PodSecurity "restricted" admits, without secrets: %s',
    async (_, settings) => {
      const manifests = await render(settings);
      const pods = manifests.flatMap((manifest) => manifest.spec?.template?.spec ?? []);
      expect(pods.length).toBeGreaterThanOrEqual(5);
      for (const pod of pods) {
        expect(pod.securityContext).toMatchObject({
          runAsNonRoot: true,
          seccompProfile: { type: 'RuntimeDefault' },
        });
        expect(pod.automountServiceAccountToken).toBe(false);
        for (const container of pod.containers) {
          expect(container.securityContext).toMatchObject({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
          for (const { name } of container.env ?? [])
            expect(name).not.toMatch(/API_KEY|PASSWORD|DATABASE_URL|REDIS/);
        }
      }
      const names = manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
      expect(new Set(names).size).toBe(names.length);
    },
  );

  it('gives each service a budget, a policy and a headless service', async () => {
    const kinds = (await render([])).map(({ kind }) => kind);
    for (const kind of ['StatefulSet', 'Service', 'PodDisruptionBudget', 'NetworkPolicy'])
      expect(
        kinds.filter((found) => found === kind),
        kind,
      ).toHaveLength(4);
  });
});
