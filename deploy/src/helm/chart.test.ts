import { describe, expect, it } from 'vitest';
import { type Manifest, manifestsOf, podsOf } from './chart-manifests.ts';
import { isInstalled, renderChart, VALUES_MATRIX } from './render-chart.ts';

const PATH = process.env.PATH ?? '';
const hasHelm = await isInstalled('helm', PATH);
if (!hasHelm) process.stderr.write('skipped: helm is not installed, so the chart is not rendered\n');

async function render(settings: readonly string[]): Promise<Manifest[]> {
  return manifestsOf(await renderChart(settings, PATH));
}

describe.runIf(hasHelm)('the Helm chart', { timeout: 60_000 }, () => {
  // `npm run drill -- chart` renders all of them, and validates them against the schemas of the API.
  it.each(
    VALUES_MATRIX.filter((_, index) => index % 3 === 1).map(
      (settings) => [settings.join(' ') || 'defaults', settings] as const,
    ),
  )('renders pods that PodSecurity "restricted" admits, without secrets: %s', async (_, settings) => {
    const manifests = await render(settings);
    const pods = manifests.flatMap(podsOf);
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
  });

  it.each([
    ['an unknown value', ['compute.replcas=3'], 'replcas'],
    ['an unknown provider of GPUs', ['compute.gpu.provider=aws'], 'gke'],
    ['a password in the address of Kafka', ['kafkaBrokers=kafka://me:secret@kafka:9092'], 'kafkaBrokers'],
    ['a topic without a broker', ['keda.enabled=true', 'keda.topic=requests'], 'bootstrapServers'],
  ])('refuses %s', async (_, settings, named) => {
    await expect(renderChart(settings, PATH)).rejects.toThrow(named);
  });

  it('gives compute with GPUs the image and the providers for them', async () => {
    const withGpu = await renderChart(['compute.gpu.count=1', 'image.tag=1.2'], PATH);
    expect(withGpu).toContain('image: hotloop/compute:1.2-cuda\n');
    expect(withGpu).toContain('image: hotloop/preprocessor:1.2\n');
    expect(withGpu).toContain('{name: HOTLOOP_EXECUTION_PROVIDERS, value: "cuda,cpu"}');
  });

  it('gives each service a budget, a policy and a headless service', async () => {
    const kinds = (await render(['batch.enabled=false'])).map(({ kind }) => kind);
    for (const kind of ['StatefulSet', 'Service', 'PodDisruptionBudget', 'NetworkPolicy'])
      expect(
        kinds.filter((found) => found === kind),
        kind,
      ).toHaveLength(4);
  });

  it('has batch workers without a service, and an optional SQL endpoint', async () => {
    const rendered = (await render(['sql.enabled=true'])).filter(({ metadata }) =>
      /-(batch|sql)$/.test(metadata.name),
    );
    expect(rendered.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()).toEqual([
      'Deployment test-batch',
      'Deployment test-sql',
      'NetworkPolicy test-batch',
      'NetworkPolicy test-sql',
      'PersistentVolumeClaim test-batch',
      'Service test-sql',
    ]);
  });

  it('trains by Jobs, one for each waiting run with KEDA, and not in the retrainers', async () => {
    const kindsOf = async (settings: readonly string[]) =>
      (await render(settings))
        .filter(({ metadata }) => metadata.name === 'test-training')
        .map(({ kind }) => kind);
    expect(await kindsOf([])).toEqual([]);
    expect((await kindsOf(['trainingPool.enabled=true'])).sort()).toEqual(['CronJob', 'NetworkPolicy']);
    const byKeda = ['trainingPool.enabled=true', 'keda.enabled=true'];
    expect((await kindsOf(byKeda)).sort()).toEqual(['NetworkPolicy', 'ScaledJob']);
    expect(await renderChart(byKeda, PATH)).toContain('{name: HOTLOOP_TRAINING, value: elsewhere}');
  });
});
