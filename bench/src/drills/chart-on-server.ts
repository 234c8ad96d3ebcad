import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { kubectl, type RealKubernetes } from '@hotloop/deploy/backing/real-kubernetes.ts';
import { type CommandResult, runCommand } from '@hotloop/deploy/backing/run-command.ts';
import { manifestsOf, type PodSpec, podsOf } from '@hotloop/deploy/helm/chart-manifests.ts';
import { CHART, VALUES_MATRIX } from '@hotloop/deploy/helm/render-chart.ts';

const CALL_TIMEOUT_MS = 120_000;
const POLL_MS = 200;
const RELEASE = 'test';
/** Answers of the server that accept an object and still find something wrong. */
const COMPLAINT = /violate PodSecurity|unknown field|deprecated|duplicate/i;

export interface ServerVerdict {
  /** Values with which the chart was installed. */
  readonly installed: number;
  /** Pods that were offered to the server itself, as a controller would create them. */
  readonly pods: number;
  /** What the server refused or warned of, one line each. */
  readonly complaints: readonly string[];
  /** Planted mistakes that it refused, of `planted`. */
  readonly caught: number;
  readonly planted: number;
}

/**
 * Installs the chart with each entry of the matrix of values on a real API server, in a namespace that enforces
 * PodSecurity "restricted", and offers the server each pod that the chart describes. With the defaults it also runs
 * the hook, upgrades and rolls back.
 */
export async function tryOnServer(
  server: RealKubernetes,
  path: string,
  say: (line: string) => void,
): Promise<ServerVerdict> {
  const signal = AbortSignal.timeout(15 * 60_000);
  const call = (...args: string[]): Promise<CommandResult> => kubectl(server, args, signal);
  const helm = (...args: string[]): Promise<CommandResult> => {
    const env = { PATH: `${path}:${join(homedir(), 'go', 'bin')}`, HOME: homedir() };
    const options = { env, timeoutMs: CALL_TIMEOUT_MS };
    return runCommand('helm', ['--kubeconfig', server.kubeconfig, ...args], options, signal);
  };
  const complaints: string[] = [];
  const judge = (what: string, { code, stdout, stderr }: CommandResult): boolean => {
    const said = `${stdout}\n${stderr}`.split('\n');
    const wrong = code === 0 ? said.filter((line) => COMPLAINT.test(line)) : [stderr.trim() || 'no answer'];
    for (const line of wrong) {
      complaints.push(line);
      say(`${what}: ${line}`);
    }
    return wrong.length === 0;
  };
  for (const file of server.definitions)
    judge('definitions', await call('apply', '--server-side', '-f', file));
  await call('wait', '--for=condition=Established', 'customresourcedefinitions', '--all', '--timeout=60s');

  const version = ['--kube-version', server.version];
  let installed = 0;
  let pods = 0;
  for (const [index, settings] of VALUES_MATRIX.entries()) {
    const name = settings.join(' ') || 'defaults';
    const namespace = `values-${index}`;
    judge(name, await restrictedNamespace(call, namespace));
    const values = settings.flatMap((setting) => ['--set', setting]);
    const into = ['--namespace', namespace];
    const done = await helm('install', RELEASE, CHART, ...into, '--no-hooks', ...values);
    if (judge(name, done)) installed++;
    const rendered = await helm('template', RELEASE, CHART, ...into, ...version, ...values);
    judge(name, rendered);
    for (const pod of podsIn(rendered.stdout)) {
      judge(`${name}: ${pod.metadata.name}`, await offer(server, namespace, pod, signal));
      pods++;
    }
  }
  await upgradeWithHooks({ call, helm, judge });

  const [first] = podsIn((await helm('template', RELEASE, CHART, ...version)).stdout);
  if (first === undefined) throw new Error('the chart describes no pod');
  const planted = plantedMistakes(first);
  let caught = 0;
  for (const pod of planted) if ((await offer(server, 'values-0', pod, signal)).code !== 0) caught++;
  return { installed, pods, complaints, caught, planted: planted.length };
}

type Call = (...args: string[]) => Promise<CommandResult>;

async function restrictedNamespace(call: Call, namespace: string): Promise<CommandResult> {
  const created = await call('create', 'namespace', namespace);
  if (created.code !== 0) return created;
  const levels = ['enforce', 'warn'].map((mode) => `pod-security.kubernetes.io/${mode}=restricted`);
  return call('label', 'namespace', namespace, ...levels);
}

interface Pod {
  readonly apiVersion: 'v1';
  readonly kind: 'Pod';
  readonly metadata: { readonly name: string };
  readonly spec: PodSpec;
}

/** The pods that controllers would create from these manifests. */
function podsIn(yaml: string): Pod[] {
  return manifestsOf(yaml).flatMap((manifest) =>
    podsOf(manifest).map((spec) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: manifest.metadata.name },
      spec: withClaims(spec),
    })),
  );
}

/** A StatefulSet adds a volume for each claim; here the mounts get an empty one. */
function withClaims(spec: PodSpec): PodSpec {
  const { volumes = [] } = spec;
  const mounts = new Set(
    spec.containers.flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name)),
  );
  const missing = [...mounts].filter((name) => !volumes.some((volume) => volume.name === name));
  return { ...spec, volumes: [...volumes, ...missing.map((name) => ({ name, emptyDir: {} }))] };
}

function plantedMistakes(pod: Pod): Pod[] {
  const [container] = pod.spec.containers;
  if (container === undefined) throw new Error('the pod has no container');
  const changed = (change: Readonly<Record<string, unknown>>): Pod => ({
    ...pod,
    spec: { ...pod.spec, containers: [{ ...container, ...change }] },
  });
  return [
    changed({ securityContext: { privileged: true } }),
    changed({ resources: { requests: { cpu: 'much' } } }),
    changed({ imagePull: 'Always' }),
  ];
}

/** Asks the server to create a pod, without storing it. */
async function offer(
  server: RealKubernetes,
  namespace: string,
  pod: Pod,
  signal: AbortSignal,
): Promise<CommandResult> {
  const folder = await mkdtemp(join(server.folder, 'pod-'));
  try {
    const file = join(folder, 'pod.json');
    await writeFile(file, JSON.stringify(pod));
    const how = ['--dry-run=server', '--validate=strict', '--namespace', namespace];
    return await kubectl(server, ['create', ...how, '-f', file], signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Hands {
  readonly call: Call;
  readonly helm: Call;
  readonly judge: (what: string, result: CommandResult) => boolean;
}

/** Installs with hooks, upgrades to another tag and goes back; the migration must end before a service changes. */
async function upgradeWithHooks({ call, helm, judge }: Hands): Promise<void> {
  const namespace = 'upgrade';
  judge(namespace, await restrictedNamespace(call, namespace));
  const into = ['--namespace', namespace];
  const images = async (): Promise<string> => {
    const path = 'jsonpath={.items[*].spec.template.spec.containers[*].image}';
    return (await call('get', 'statefulsets', ...into, '-o', path)).stdout;
  };
  const steps = [
    ['install', ['install', RELEASE, CHART, ...into, '--set', 'image.tag=one'], ''],
    ['upgrade', ['upgrade', RELEASE, CHART, ...into, '--set', 'image.tag=two'], ':one'],
    ['rollback', ['rollback', RELEASE, '1', ...into], ':two'],
  ] as const;
  for (const [name, args, before] of steps) {
    const running = helm(...args);
    const finished = running.then(() => 'done' as const);
    let jobs = 0;
    while ((await Promise.race([finished, delay(POLL_MS, 'waiting' as const)])) === 'waiting') {
      for (const job of await unfinishedJobs(call, into)) {
        const now = await images();
        if (before === '' ? now !== '' : !now.includes(before))
          judge(name, { code: 1, stdout: '', stderr: `services changed before the migration ended: ${now}` });
        judge(name, await complete(call, job, into));
        jobs++;
      }
    }
    judge(name, await running);
    // Migrations only add, so going back needs none.
    if (jobs === 0 && name !== 'rollback') judge(name, { code: 1, stdout: '', stderr: 'no migration ran' });
  }
  if (!(await images()).includes(':one'))
    judge('rollback', { code: 1, stdout: '', stderr: 'the images before were not restored' });
}

async function unfinishedJobs(call: Call, into: readonly string[]): Promise<string[]> {
  const { stdout } = await call('get', 'jobs', ...into, '-o', 'json');
  const { items } = JSON.parse(stdout || '{"items":[]}') as { readonly items: readonly Job[] };
  return items.filter(({ status }) => !status?.succeeded).map(({ metadata }) => metadata.name);
}

interface Job {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly succeeded?: number };
}

/** Says what the Job controller would say of a Job that succeeded. */
function complete(call: Call, job: string, into: readonly string[]): Promise<CommandResult> {
  const now = new Date().toISOString().replace(/\.\d+/, '');
  const condition = (type: string): object => ({
    ...{ type, status: 'True', lastTransitionTime: now, lastProbeTime: now, reason: 'CompletionsReached' },
  });
  const status = {
    ...{ startTime: now, completionTime: now, succeeded: 1, ready: 0, uncountedTerminatedPods: {} },
    conditions: [condition('SuccessCriteriaMet'), condition('Complete')],
  };
  const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
  return call('patch', 'job', job, ...into, ...patch);
}
