import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { access, copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BackingServiceError } from './backing-service-error.ts';
import { freePort } from './free-port.ts';
import { type CommandResult, runCommand } from './run-command.ts';
import { startServerProcess } from './server-process.ts';
import type { Watchdog } from './watchdog.ts';

/** The versions that are built: 1.36.3 of Kubernetes, and the etcd that it is developed with. */
const KUBERNETES_VERSION = 'v1.36.3';
const STAGING_VERSION = 'v0.36.3';
const ETCD_VERSION = 'v3.6.8';

/** Definitions of the custom resources that the chart uses: Go modules that contain them, and where. */
const DEFINITIONS = [
  { module: 'github.com/kedacore/keda/v2@v2.21.0', folder: 'config/crd/bases', files: /^keda\.sh_/ },
  {
    module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
    folder: 'example/prometheus-operator-crd',
    files: /_podmonitors\.yaml$/,
  },
] as const;

/** The modules that Kubernetes keeps in its own repository; its `go.mod` names them without a version. */
const STAGING =
  `api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider cluster-bootstrap
  code-generator component-base component-helpers controller-manager cri-api cri-client cri-streaming
  csi-translation-lib dynamic-resource-allocation endpointslice externaljwt kms kube-aggregator kube-controller-manager
  kube-proxy kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission sample-apiserver
  sample-cli-plugin sample-controller streaming`.split(/\s+/);

/** A build from the sources of a module does not know its version; clients such as Helm ask for it. */
const VERSION_FLAGS = ['component-base', 'client-go/pkg']
  .map((within) => `-X k8s.io/${within}/version.gitVersion=${KUBERNETES_VERSION}`)
  .join(' ');

const PROBE_TIMEOUT_MS = 20_000;
const BUILD_TIMEOUT_MS = 20 * 60_000;
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 20_000;
const CALL_TIMEOUT_MS = 60_000;
const PATH = '/usr/local/go/bin:/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin';

export interface RealKubernetesOptions {
  /** Used only by this server while it runs; emptied at the start. */
  readonly dir: string;
  readonly cacheDir: string;
  /** This process's environment: Go needs its own settings (HOME, GOPROXY …) to build. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly watchdog: Watchdog;
  readonly log: (line: string) => void;
}

/** A Kubernetes API server without nodes and controllers: it admits, validates and stores objects. */
export interface RealKubernetes extends AsyncDisposable {
  readonly version: string;
  /** Its own folder, for files of its callers. */
  readonly folder: string;
  /** A file for `kubectl --kubeconfig` and `helm --kubeconfig`. */
  readonly kubeconfig: string;
  /** Definitions of custom resources that the chart uses (KEDA, Prometheus operator), as YAML files. */
  readonly definitions: readonly string[];
}

/**
 * Runs a real kube-apiserver with its etcd on 127.0.0.1. Both are built once from their published sources by Go, into
 * the cache; this takes minutes. Throws MISSING_PROGRAM with the reason in one line when Go or the sources cannot be
 * had; START_FAILED with the server's last messages.
 */
export async function startRealKubernetes(
  options: RealKubernetesOptions,
  signal: AbortSignal,
): Promise<RealKubernetes> {
  const build = await builtServers(options, signal);
  const dir = resolve(options.dir);
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true });
  await using opened = new AsyncDisposableStack();
  const etcd = await startEtcd(build, dir, options, signal);
  opened.use(etcd);
  const token = randomBytes(24).toString('base64url');
  const port = await freePort();
  const server = await startServerProcess(
    {
      name: `Kubernetes ${KUBERNETES_VERSION}`,
      command: join(build, 'kube-apiserver'),
      args: await serverArguments(dir, port, etcd.ready, token),
      env: { PATH, HOME: dir, TZ: 'UTC' },
      cwd: dir,
      recordFile: join(dir, 'kubernetes.json'),
      ready: (line) => /Serving securely on/.test(line) || undefined,
      startTimeoutMs: START_TIMEOUT_MS,
      stopSignal: 'SIGTERM',
      stopTimeoutMs: STOP_TIMEOUT_MS,
      watchdog: options.watchdog,
      log: options.log,
    },
    signal,
  );
  opened.use(server);
  const kubeconfig = join(dir, 'kubeconfig');
  await writeFile(kubeconfig, JSON.stringify(connection(port, token)), { mode: 0o600 });
  const stack = opened.move();
  return {
    version: KUBERNETES_VERSION,
    folder: dir,
    kubeconfig,
    definitions: (await readdir(join(build, 'definitions'))).map((name) => join(build, 'definitions', name)),
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

async function startEtcd(
  build: string,
  dir: string,
  options: RealKubernetesOptions,
  signal: AbortSignal,
): ReturnType<typeof startServerProcess<string>> {
  const [clients, peers] = await Promise.all([freePort(), freePort()]);
  const address = `http://127.0.0.1:${clients}`;
  const peer = `http://127.0.0.1:${peers}`;
  return startServerProcess(
    {
      name: `etcd ${ETCD_VERSION}`,
      command: join(build, 'etcd'),
      args: [
        ...['--data-dir', join(dir, 'etcd'), '--unsafe-no-fsync', '--name', 'default'],
        ...['--listen-client-urls', address, '--advertise-client-urls', address],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
        ...['--initial-cluster', `default=${peer}`],
      ],
      env: { PATH, TZ: 'UTC' },
      cwd: dir,
      recordFile: join(dir, 'etcd.json'),
      ready: (line) => (/ready to serve client requests/.test(line) ? address : undefined),
      startTimeoutMs: START_TIMEOUT_MS,
      stopSignal: 'SIGTERM',
      stopTimeoutMs: STOP_TIMEOUT_MS,
      watchdog: options.watchdog,
      log: options.log,
    },
    signal,
  );
}

async function serverArguments(dir: string, port: number, etcd: string, token: string): Promise<string[]> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const file = async (name: string, content: string): Promise<string> => {
    await writeFile(join(dir, name), content, { mode: 0o600 });
    return join(dir, name);
  };
  return [
    `--etcd-servers=${etcd}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${join(dir, 'certificates')}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-signing-key-file=${await file('signing.pem', privateKey)}`,
    `--service-account-key-file=${await file('verifying.pem', publicKey)}`,
    `--token-auth-file=${await file('tokens.csv', `${token},admin,admin,system:masters\n`)}`,
    '--authorization-mode=RBAC',
    // Without controllers, no namespace has its default service account.
    '--disable-admission-plugins=ServiceAccount',
  ];
}

/** A kubeconfig. The server's certificate is of its own making and changes with each start. */
function connection(port: number, token: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'test', cluster: { server: `https://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } },
    ],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    'current-context': 'test',
  };
}

/** The folder with `etcd`, `kube-apiserver` and `definitions/`, built once. */
async function builtServers(options: RealKubernetesOptions, signal: AbortSignal): Promise<string> {
  const cache = join(resolve(options.cacheDir), 'kubernetes');
  const folder = join(cache, KUBERNETES_VERSION);
  if (await exists(folder)) return folder;
  const draft = join(cache, `draft-${randomUUID()}`);
  const binaries = join(draft, 'build');
  await mkdir(join(binaries, 'definitions'), { recursive: true });
  const go = async (args: readonly string[], timeoutMs: number): Promise<CommandResult> => {
    const env = { ...defined(options.environment), PATH: `${options.environment.PATH ?? ''}:${PATH}` };
    const result = await runCommand('go', args, { cwd: draft, env, timeoutMs }, signal);
    if (result.code === 0) return result;
    const said = `${result.stdout}\n${result.stderr}`.trim().split('\n').at(-1) || 'no answer in time';
    throw new BackingServiceError(
      'MISSING_PROGRAM',
      `a Kubernetes API server ${KUBERNETES_VERSION} could not be built with Go: ${said}`,
    );
  };
  try {
    await go(['version'], PROBE_TIMEOUT_MS);
    options.log(`building kube-apiserver ${KUBERNETES_VERSION} and etcd ${ETCD_VERSION} with Go (minutes)`);
    await writeFile(join(draft, 'go.mod'), goModule());
    await writeFile(join(draft, 'programs.go'), IMPORTS);
    await go(['mod', 'tidy'], BUILD_TIMEOUT_MS);
    const into = ['-trimpath', `-ldflags=-s -w ${VERSION_FLAGS}`, '-o'];
    await go(['build', ...into, join(binaries, 'etcd'), 'go.etcd.io/etcd/server/v3'], BUILD_TIMEOUT_MS);
    await go(
      ['build', ...into, join(binaries, 'kube-apiserver'), 'k8s.io/kubernetes/cmd/kube-apiserver'],
      BUILD_TIMEOUT_MS,
    );
    for (const { module, folder: within, files } of DEFINITIONS) {
      const { stdout } = await go(['mod', 'download', '-json', module], BUILD_TIMEOUT_MS);
      const source = join((JSON.parse(stdout) as { readonly Dir: string }).Dir, within);
      for (const name of (await readdir(source)).filter((each) => files.test(each)))
        await copyFile(join(source, name), join(binaries, 'definitions', name));
    }
    await rename(binaries, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return folder;
}

function goModule(): string {
  const replaced = STAGING.map((name) => `\tk8s.io/${name} => k8s.io/${name} ${STAGING_VERSION}`);
  return `module hotloop/kubernetes-for-tests

go 1.26.0

require (
\tk8s.io/kubernetes ${KUBERNETES_VERSION}
\tgo.etcd.io/etcd/server/v3 ${ETCD_VERSION}
)

replace (
${replaced.join('\n')}
)
`;
}

/** Names the programs, so that `go mod tidy` finds what they need. */
const IMPORTS = `//go:build programs

package programs

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
`;

/** Runs \`kubectl\` against the server; a refusal is a result, not an exception. */
export function kubectl(
  server: RealKubernetes,
  args: readonly string[],
  signal: AbortSignal,
): Promise<CommandResult> {
  return runCommand(
    'kubectl',
    ['--kubeconfig', server.kubeconfig, ...args],
    { timeoutMs: CALL_TIMEOUT_MS },
    signal,
  );
}

function defined(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
