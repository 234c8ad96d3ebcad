import { request as plain } from 'node:http';
import { request as encrypted } from 'node:https';

// `node health.mjs PORT/PATH`: ends with 0 when the service of this container is ready. Probes need no certificate, and
// the container's own address is in none.
const isEncrypted = Boolean(process.env.HOTLOOP_TLS_CERT);
const url = `${isEncrypted ? 'https' : 'http'}://127.0.0.1:${process.argv[2]}`;
const call = (isEncrypted ? encrypted : plain)(url, { rejectUnauthorized: false, timeout: 5000 }, (answer) =>
  process.exit(answer.statusCode === 200 ? 0 : 1),
);
call.on('timeout', () => process.exit(1));
call.on('error', () => process.exit(1));
call.end();
