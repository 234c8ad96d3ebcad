import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];

/** Files in PEM. */
export interface TestCertificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Makes a CA and a certificate for localhost that it signed, for both ends of a connection. Needs `openssl`. */
export async function makeTestCertificates(folder: string): Promise<TestCertificates> {
  const at = (name: string) => join(folder, name);
  await run('openssl', [
    'req',
    '-x509',
    ...KEY,
    '-subj',
    '/CN=ca',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.crt'),
  ]);
  const subject = ['-subj', '/CN=bench', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const signer = ['-CA', at('ca.crt'), '-CAkey', at('ca.key')];
  await run('openssl', [
    'req',
    '-x509',
    ...KEY,
    ...subject,
    ...signer,
    '-keyout',
    at('tls.key'),
    '-out',
    at('tls.crt'),
  ]);
  return { ca: at('ca.crt'), certificate: at('tls.crt'), key: at('tls.key') };
}
