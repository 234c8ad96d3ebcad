import { randomBytes, randomUUID } from 'node:crypto';
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BackingServiceError } from './backing-service-error.ts';
import { freePort } from './free-port.ts';
import type { RunningKafka } from './kafka.ts';
import { runCommand } from './run-command.ts';
import { startServerProcess } from './server-process.ts';
import type { Watchdog } from './watchdog.ts';

const KAFKA_VERSION = '4.3.1';
/** Kafka's jars log through SLF4J, without an implementation of their own. */
const LOGGER_VERSION = '1.7.36';
const OLDEST_JAVA = 17;

const PROBE_TIMEOUT_MS = 20_000;
const DOWNLOAD_TIMEOUT_MS = 180_000;
const FORMAT_TIMEOUT_MS = 60_000;
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 20_000;
const PORT_ATTEMPTS = 5;

const PROJECT = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>hotloop</groupId><artifactId>kafka-for-tests</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>${LOGGER_VERSION}</version></dependency>
  </dependencies>
</project>
`;

export interface RealKafkaOptions {
  /** Used only by this broker while it runs; emptied at the start. */
  readonly dir: string;
  readonly cacheDir: string;
  readonly watchdog: Watchdog;
  readonly log: (line: string) => void;
  /** Clients must log in with it (SASL). */
  readonly login?: KafkaLogin;
  /** Where ports come from; default: the system. */
  readonly nextPort?: () => Promise<number>;
  /** Clients must encrypt: PEM files of the broker's certificate and key (PKCS #8). */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

export interface KafkaLogin {
  readonly user: string;
  readonly password: string;
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-512';
}

/**
 * Runs one node of Apache Kafka 4 (KRaft: broker and controller in one) on 127.0.0.1, for tests with the real broker.
 * Its jars are downloaded once with Maven, into the cache. Throws MISSING_PROGRAM with the reason in one line when
 * Java 17, Maven or the jars are not available; START_FAILED with Kafka's last messages.
 */
export async function startRealKafka(options: RealKafkaOptions, signal: AbortSignal): Promise<RunningKafka> {
  await requireJava(signal);
  const jars = await kafkaJars(resolve(options.cacheDir), options.log, signal);
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnFreePorts(jars, options, signal);
    } catch (error) {
      const taken = error instanceof BackingServiceError && /Address already in use/i.test(error.message);
      if (!taken || attempt >= PORT_ATTEMPTS) throw error;
    }
  }
}

async function startOnFreePorts(
  jars: string,
  options: RealKafkaOptions,
  signal: AbortSignal,
): Promise<RunningKafka> {
  const dir = resolve(options.dir);
  await rm(join(dir, 'data'), { recursive: true, force: true });
  await mkdir(dir, { recursive: true });
  const nextPort = options.nextPort ?? freePort;
  const ports = { clients: await nextPort(), broker: await nextPort(), controller: await nextPort() };
  const port = ports.clients;
  const configuration = join(dir, 'server.properties');
  const { login, tls } = options;
  const identity = join(dir, 'identity.pem');
  if (tls)
    await writeFile(
      identity,
      (await Promise.all([tls.key, tls.certificate].map((file) => readFile(file)))).join('\n'),
    );
  const settings = {
    ...brokerSettings(join(dir, 'data'), ports, protocolOf(login !== undefined, tls !== undefined)),
    ...(login ? loginSettings(login) : {}),
    ...(tls ? { 'ssl.keystore.type': 'PEM', 'ssl.keystore.location': identity } : {}),
  };
  await writeFile(
    configuration,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const java = [
    '-Xmx256m',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    '-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info',
    '-cp',
    join(jars, '*'),
  ];
  await format(java, configuration, login, signal);
  const server = await startServerProcess(
    {
      name: `Apache Kafka ${KAFKA_VERSION}`,
      command: 'java',
      args: [...java, 'kafka.Kafka', configuration],
      env: { PATH: '/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
      cwd: dir,
      recordFile: join(dir, 'process.json'),
      ready: (line) => line.includes('Kafka Server started') || undefined,
      startTimeoutMs: START_TIMEOUT_MS,
      stopSignal: 'SIGTERM',
      stopTimeoutMs: STOP_TIMEOUT_MS,
      watchdog: options.watchdog,
      log: options.log,
    },
    signal,
  );
  return {
    brokers: `127.0.0.1:${port}`,
    pid: server.pid,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A new cluster writes its identity into the data folder before its first start. */
async function format(
  java: readonly string[],
  configuration: string,
  login: KafkaLogin | undefined,
  signal: AbortSignal,
): Promise<void> {
  const clusterId = randomBytes(16).toString('base64url');
  // As one argument, because an id may start with a dash and would then be parsed as an option.
  const args = [
    ...java,
    'kafka.tools.StorageTool',
    'format',
    `--cluster-id=${clusterId}`,
    '--config',
    configuration,
    ...(login === undefined || login.mechanism === 'PLAIN'
      ? []
      : ['--add-scram', `${login.mechanism}=[name=${login.user},password=${login.password}]`]),
  ];
  const { code, stdout, stderr } = await runCommand('java', args, { timeoutMs: FORMAT_TIMEOUT_MS }, signal);
  if (code === 0) return;
  throw new BackingServiceError(
    'START_FAILED',
    `Kafka's data folder could not be formatted:\n${stdout}${stderr}`,
  );
}

async function requireJava(signal: AbortSignal): Promise<void> {
  const { code, stderr } = await runCommand('java', ['-version'], { timeoutMs: PROBE_TIMEOUT_MS }, signal);
  const major = Number(/version "(\d+)/.exec(stderr)?.[1]);
  if (code === 0 && major >= OLDEST_JAVA) return;
  const found = code === 0 && major > 0 ? `found Java ${major}` : 'found none';
  throw new BackingServiceError(
    'MISSING_PROGRAM',
    `Apache Kafka ${KAFKA_VERSION} needs Java ${OLDEST_JAVA} or later: ${found}`,
  );
}

async function kafkaJars(
  cacheDir: string,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const folder = join(cacheDir, 'kafka', KAFKA_VERSION);
  if (await exists(folder)) return folder;
  const draft = join(cacheDir, 'kafka', `draft-${randomUUID()}`);
  await mkdir(draft, { recursive: true });
  try {
    log(`fetching Apache Kafka ${KAFKA_VERSION} through Maven into the project's cache`);
    await writeFile(join(draft, 'pom.xml'), PROJECT);
    const goals = [
      'dependency:copy-dependencies',
      '-DincludeScope=runtime',
      `-DoutputDirectory=${join(draft, 'jars')}`,
    ];
    const options = { cwd: draft, timeoutMs: DOWNLOAD_TIMEOUT_MS };
    const { code, stdout, stderr } = await runCommand(
      'mvn',
      ['--batch-mode', '--quiet', ...goals],
      options,
      signal,
    );
    if (code !== 0) {
      const said =
        `${stdout}\n${stderr}`.split('\n').find((line) => /ERROR|ENOENT/.test(line)) ?? 'no answer in time';
      throw new BackingServiceError(
        'MISSING_PROGRAM',
        `Maven could not bring Apache Kafka ${KAFKA_VERSION}: ${said}`,
      );
    }
    await rename(join(draft, 'jars'), folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return folder;
}

function protocolOf(login: boolean, tls: boolean): string {
  if (login) return tls ? 'SASL_SSL' : 'SASL_PLAINTEXT';
  return tls ? 'SSL' : 'PLAINTEXT';
}

/** The broker talks to itself on a port of its own, without login. */
function brokerSettings(
  data: string,
  ports: { readonly clients: number; readonly broker: number; readonly controller: number },
  protocol: string,
): Record<string, string> {
  const at = (port: number) => `127.0.0.1:${port}`;
  const brokers = `CLIENTS://${at(ports.clients)},BROKER://${at(ports.broker)}`;
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@${at(ports.controller)}`,
    listeners: `${brokers},CONTROLLER://${at(ports.controller)}`,
    'advertised.listeners': brokers,
    'inter.broker.listener.name': 'BROKER',
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': `CONTROLLER:PLAINTEXT,BROKER:PLAINTEXT,CLIENTS:${protocol}`,
    'log.dirs': data,
    'num.partitions': '4',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
  };
}

function loginSettings({ user, password, mechanism }: KafkaLogin): Record<string, string> {
  const security = 'org.apache.kafka.common.security';
  const module =
    mechanism === 'PLAIN'
      ? `${security}.plain.PlainLoginModule required user_${user}="${password}"`
      : `${security}.scram.ScramLoginModule required`;
  return {
    'sasl.enabled.mechanisms': mechanism,
    [`listener.name.clients.${mechanism.toLowerCase()}.sasl.jaas.config`]: `${module};`,
  };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
