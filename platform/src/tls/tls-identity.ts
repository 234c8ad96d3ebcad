import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { type ChannelCredentials, credentials, experimental, type ServerCredentials } from '@grpc/grpc-js';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Log } from '../log.ts';

/** Paths of certificates, all in PEM. */
export interface TlsFiles {
  /** The service's certificate, followed by intermediate ones. */
  readonly certificate: string;
  readonly key: string;
  /** The CA of trusted callers: with it, every caller must present a certificate (mutual TLS). */
  readonly ca?: string | undefined;
}

/** The current contents of the files. */
export interface TlsMaterial {
  readonly certificate: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
}

type IdentityListener = Parameters<experimental.CertificateProvider['addIdentityCertificateListener']>[0];
type CaListener = Parameters<experimental.CertificateProvider['addCaCertificateListener']>[0];

const RELOAD_MS = 10_000;

/**
 * The certificate of a process, for its servers and its calls to other services. The files are read again every ten
 * seconds: new connections use the new files, open ones stay. Files that cannot be used, such as a certificate whose
 * key is not written yet, are logged, and the previous certificate stays in use. Disposing stops the reading.
 */
export class TlsIdentity implements experimental.CertificateProvider, Disposable {
  readonly #files: TlsFiles;
  readonly #log: Log;
  readonly #identityListeners = new Set<IdentityListener>();
  readonly #caListeners = new Set<CaListener>();
  readonly #changeListeners = new Set<(material: TlsMaterial) => void>();
  readonly #timer: NodeJS.Timeout;
  #material: TlsMaterial;

  private constructor(files: TlsFiles, material: TlsMaterial, log: Log, reloadMs: number) {
    this.#files = files;
    this.#material = material;
    this.#log = log;
    this.#timer = setInterval(() => void this.reload(), reloadMs);
    this.#timer.unref();
  }

  /** Throws INVALID_ARGUMENT for files that cannot be read, are not PEM or do not belong together. */
  static async open(files: TlsFiles, log: Log, reloadMs: number = RELOAD_MS): Promise<TlsIdentity> {
    return new TlsIdentity(files, await readMaterial(files), log, reloadMs);
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  /** Callers must present a certificate that the CA signed. */
  get asksForCertificates(): boolean {
    return this.#files.ca !== undefined;
  }

  /** Reads the files now. */
  async reload(): Promise<void> {
    try {
      const next = await readMaterial(this.#files);
      if (isSame(next, this.#material)) return;
      this.#material = next;
      this.#log.info({ expires: expiryOf(next.certificate) }, 'new TLS certificate');
      for (const listener of this.#identityListeners) listener(this.#identity());
      for (const listener of this.#caListeners) listener(this.#ca());
      for (const listener of this.#changeListeners) listener(next);
    } catch (error) {
      this.#log.warn({ err: error }, 'the TLS files cannot be used; the previous certificate stays in use');
    }
  }

  /** Called with every new certificate, for servers other than gRPC. */
  onChange(listener: (material: TlsMaterial) => void): void {
    this.#changeListeners.add(listener);
  }

  serverCredentials(): ServerCredentials {
    return experimental.createCertificateProviderServerCredentials(
      this,
      this.asksForCertificates ? this : null,
      this.asksForCertificates,
    );
  }

  /** For calls to other services, which are verified with the CA, or else with the system's certificates. */
  channelCredentials(): ChannelCredentials {
    if (!this.asksForCertificates) return credentials.createSsl();
    return experimental.createCertificateProviderChannelCredentials(this, this);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener);
    queueMicrotask(() => listener(this.#identity()));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener);
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#caListeners.add(listener);
    queueMicrotask(() => listener(this.#ca()));
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #identity() {
    return { certificate: this.#material.certificate, privateKey: this.#material.key };
  }

  #ca() {
    return this.#material.ca === undefined ? null : { caCertificate: this.#material.ca };
  }
}

async function readMaterial(files: TlsFiles): Promise<TlsMaterial> {
  const read = async (path: string) => {
    try {
      return await readFile(path);
    } catch (cause) {
      throw unusable(`${path} cannot be read`, cause);
    }
  };
  const certificate = await read(files.certificate);
  const key = await read(files.key);
  const ca = files.ca === undefined ? undefined : await read(files.ca);
  try {
    createSecureContext({ cert: certificate, key, ...(ca === undefined ? {} : { ca }) });
  } catch (cause) {
    throw unusable(`${files.certificate} and ${files.key} are not a certificate and its key in PEM`, cause);
  }
  return { certificate, key, ca };
}

function unusable(problem: string, cause: unknown): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `TLS: ${problem}`, { reason: 'invalid_configuration', cause });
}

function isSame(one: TlsMaterial, other: TlsMaterial): boolean {
  const isSameFile = (a: Buffer | undefined, b: Buffer | undefined) => a?.toString() === b?.toString();
  return (
    isSameFile(one.certificate, other.certificate) &&
    isSameFile(one.key, other.key) &&
    isSameFile(one.ca, other.ca)
  );
}

function expiryOf(certificate: Buffer): string {
  return new Date(new X509Certificate(certificate).validTo).toISOString();
}
