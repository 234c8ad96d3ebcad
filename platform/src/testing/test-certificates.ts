import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];

/** Paths of PEM files. */
export interface TestCertificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Makes a CA as `NAME.crt` and `NAME.key` in the folder. Needs `openssl`. */
export async function makeTestCa(folder: string, name: string): Promise<void> {
  await request(folder, name, ['-subj', `/CN=${name}`]);
}

/** Makes a certificate for localhost and 127.0.0.1 as `NAME.crt` and `NAME.key`, signed by a CA in the same folder. */
export async function makeTestCertificate(folder: string, name: string, ca: string): Promise<void> {
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const signer = ['-CA', join(folder, `${ca}.crt`), '-CAkey', join(folder, `${ca}.key`)];
  await request(folder, name, [...subject, ...signer]);
}

/** Makes a CA and one certificate that serves both ends of a connection. */
export async function makeTestCertificates(folder: string): Promise<TestCertificates> {
  await makeTestCa(folder, 'ca');
  await makeTestCertificate(folder, 'tls', 'ca');
  const at = (name: string) => join(folder, name);
  return { ca: at('ca.crt'), certificate: at('tls.crt'), key: at('tls.key') };
}

async function request(folder: string, name: string, args: readonly string[]): Promise<void> {
  const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`)];
  await run('openssl', ['req', '-x509', ...KEY, ...args, ...files]);
}
