import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const CHART = join(import.meta.dirname, '..', '..', 'helm', 'hotloop');
/** Kubernetes versions against whose schemas the manifests are validated. */
export const KUBE_VERSIONS = ['1.30', '1.32'] as const;
const MAX_OUTPUT_BYTES = 1 << 24;

/** Values that an installation may set, each as for `--set`. */
export const VALUES_MATRIX: readonly (readonly string[])[] = [
  [],
  ['tls.secretName=certificates'],
  ['tls.secretName=certificates', 'tls.mutual=false', 'ingress.enabled=true', 'ingress.tlsSecretName=web'],
  [
    'compute.gpu.count=1',
    'compute.gpu.provider=gke',
    'compute.gpu.type=nvidia-l4',
    'compute.executionProviders=cuda',
  ],
  ['compute.gpu.count=2', 'compute.gpu.provider=eks', 'compute.gpu.type=l40s'],
  ['compute.gpu.count=1', 'compute.gpu.provider=aks'],
  [
    'compute.autoscaling.enabled=true',
    'compute.autoscaling.queueDepth=50',
    'preprocessor.autoscaling.enabled=true',
    'postprocessor.autoscaling.enabled=true',
    'retrainer.autoscaling.enabled=true',
  ],
  ['keda.enabled=true', 'keda.topic=requests', 'kafkaBrokers=kafka:9092', 'trainingPool.enabled=true'],
  ['keda.enabled=true', 'trainingPool.enabled=true', 'networkPolicy.enabled=false'],
  [
    'keda.enabled=true',
    'keda.topic=requests',
    'keda.bootstrapServers=kafka:9093',
    'keda.authentication=kafka-login',
    'keda.metadata.sasl=scram_sha512',
    'keda.metadata.tls=enable',
  ],
  [
    'sql.enabled=true',
    'batch.replicas=3',
    'batch.data.accessMode=ReadWriteMany',
    'tls.secretName=hotloop-tls',
  ],
  [
    'trainingPool.enabled=true',
    'trainingPool.nodeSelector.pool=training',
    'trainingPool.tolerations[0].key=training',
    'trainingPool.tolerations[0].operator=Exists',
    'tls.secretName=x',
  ],
  [
    'networkPolicy.enabled=false',
    'podDisruptionBudget.enabled=false',
    'ingress.enabled=true',
    'ingress.className=nginx',
    'monitoring.podMonitor=true',
  ],
  ['networkPolicy.egress[0].ipBlock.cidr=10.0.0.0/8', 'nodeSelector.zone=a'],
  [
    'image.digests.compute=sha256:abc',
    'image.pullSecrets[0].name=pull',
    'environment.HOTLOOP_LOG_LEVEL=debug',
    'compute.data.storageClass=fast',
  ],
];

/** The PATH, plus the folder where `go install` puts programs. */
function searchPath(path: string): string {
  return [path, join(homedir(), 'go', 'bin')].join(delimiter);
}

/** Whether a program can be started. */
export async function isInstalled(program: string, path: string): Promise<boolean> {
  return run(program, ['--help'], { env: { PATH: searchPath(path), HOME: homedir() } }).then(
    () => true,
    () => false,
  );
}

/** The chart's manifests as YAML. Rejects with helm's message. */
export async function renderChart(
  settings: readonly string[],
  path: string,
  kubeVersion = '1.32',
): Promise<string> {
  const values = settings.flatMap((setting) => ['--set', setting]);
  const args = ['template', 'test', CHART, '--kube-version', `${kubeVersion}.0`, ...values];
  const { stdout } = await run('helm', args, {
    env: { PATH: searchPath(path), HOME: homedir() },
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  return stdout;
}

export async function lintChart(path: string): Promise<void> {
  await run('helm', ['lint', '--strict', CHART], { env: { PATH: searchPath(path), HOME: homedir() } });
}

/**
 * Validates manifests against the schemas of the Kubernetes API, with the program `kubernetes-validate` (PyPI);
 * returns its complaints. Kinds that are not Kubernetes' own (KEDA's, Prometheus') have no schema there.
 */
export async function validateManifests(yaml: string, kubeVersion: string, path: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-chart-'));
  try {
    const file = join(folder, 'manifests.yaml');
    await writeFile(file, yaml);
    const said = await run('kubernetes-validate', ['--strict', '-k', kubeVersion, file], {
      env: { PATH: searchPath(path), HOME: homedir() },
      maxBuffer: MAX_OUTPUT_BYTES,
    }).catch((error: { stdout?: string; stderr?: string }) => error);
    return `${said.stdout ?? ''}\n${said.stderr ?? ''}`
      .split('\n')
      .filter((line) => line.trim() !== '' && !/^INFO|Couldn't find schema/.test(line));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
