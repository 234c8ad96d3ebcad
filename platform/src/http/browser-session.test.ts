import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthenticator } from '../auth/authorization.ts';
import { z } from '../config.ts';
import { silentLog } from '../log.ts';
import { openMetrics } from '../telemetry/metrics.ts';
import { browserSessions } from './browser-session.ts';
import { type HttpServer, openHttpServer, type RouteModule } from './http-server.ts';

const KEY = 'a-key-of-some-length';
const ROUTES: RouteModule = (app) => {
  app.post(
    '/v1/things',
    { config: { requires: 'operate' }, schema: { body: z.strictObject({}) } },
    async (request) => ({ by: request.caller.subject }),
  );
};

describe('sealed sessions', () => {
  it('remain valid after a restart with the same secret', () => {
    const cookie = browserSessions('s'.repeat(32)).seal('key');
    expect(browserSessions('s'.repeat(32)).open(cookie)).toBe('key');
    expect(browserSessions(undefined).open(cookie)).toBeUndefined();
  });

  it('return the key until they expire, and only on the server that sealed them', () => {
    let now = 0;
    const sessions = browserSessions('s'.repeat(32), () => now);
    const cookie = sessions.seal(KEY);
    expect(cookie).not.toContain(KEY);
    expect(sessions.open(cookie)).toBe(KEY);
    expect(browserSessions('s'.repeat(32), () => now).open(cookie)).toBe(KEY);
    expect(browserSessions('t'.repeat(32), () => now).open(cookie)).toBeUndefined();
    now = sessions.lifetimeMs + 1;
    expect(sessions.open(cookie)).toBeUndefined();
  });

  it.each(['', 'x', 'AAAA', Buffer.alloc(64).toString('base64url')])('refuse %j', (cookie) => {
    expect(browserSessions(undefined).open(cookie)).toBeUndefined();
  });

  it('reject a cookie with any byte changed', () => {
    const sessions = browserSessions(undefined);
    const bytes = Buffer.from(sessions.seal(KEY), 'base64url');
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(sessions.open(changed.toString('base64url'))).toBeUndefined();
    }
  });
});

describe('a server with pages', () => {
  let folder: string;
  let open: HttpServer;
  let closed: HttpServer;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hotloop-pages-'));
    await mkdir(join(folder, 'assets'));
    await writeFile(join(folder, 'index.html'), '<!doctype html><title>page</title>');
    await writeFile(join(folder, 'assets', 'a-1.js'), 'export {};');
    open = await serve(undefined);
    closed = await serve(`${KEY}:ada:operate,another-key-of-length:bob:predict`);
  });
  afterAll(async () => {
    await open[Symbol.asyncDispose]();
    await closed[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  function serve(keys: string | undefined): Promise<HttpServer> {
    return openHttpServer(
      {
        listen: '127.0.0.1:0',
        title: 'test',
        routes: [ROUTES],
        pages: { folder, sessions: browserSessions(undefined) },
      },
      { authenticator: createAuthenticator(keys), metrics: openMetrics('test'), log: silentLog() },
    );
  }

  const ask = (server: HttpServer, path: string, init: RequestInit = {}) =>
    fetch(`http://${server.address}${path}`, init);
  const write = (headers: Record<string, string>): RequestInit => ({
    method: 'POST',
    body: '{}',
    headers: { 'content-type': 'application/json', ...headers },
  });

  async function login(key: string) {
    const answer = await ask(closed, '/v1/session', { ...write({}), body: JSON.stringify({ apiKey: key }) });
    const cookie = answer.headers.get('set-cookie') ?? '';
    return { status: answer.status, cookie, session: (await answer.json()) as { csrfToken: string } };
  }

  it('serves its page at every path that a browser opens, its assets, and nothing else', async () => {
    const page = { headers: { accept: 'text/html' } };
    for (const path of ['/', '/models/shop', '/runs/1'])
      expect(await (await ask(open, path, page)).text()).toContain('<title>page</title>');
    expect((await ask(open, '/assets/a-1.js')).headers.get('cache-control')).toContain('immutable');
    for (const path of ['/assets/..%2findex.html', '/assets/none.js', '/v1/none', '/none'])
      expect((await ask(open, path)).status, path).toBe(404);
  });

  it('allows no inline scripts and no scripts from elsewhere', async () => {
    const policy = (await ask(open, '/', { headers: { accept: 'text/html' } })).headers.get(
      'content-security-policy',
    );
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
  });

  it.each([
    ['a page from elsewhere', { origin: 'http://evil.example' }],
    ['a page without an origin', { origin: 'null' }],
    ['a request that a browser marks as cross-site', { 'sec-fetch-site': 'cross-site' }],
  ])('rejects %s when there are no keys', async (_name, headers) => {
    expect((await ask(open, '/v1/things', write(headers))).status).toBe(403);
  });

  it('serves its own page without keys', async () => {
    const headers = { origin: `http://${open.address}`, 'sec-fetch-site': 'same-origin' };
    expect((await ask(open, '/v1/things', write(headers))).status).toBe(200);
  });

  it('hides the session cookie from scripts and from other sites', async () => {
    const { cookie } = await login(KEY);
    expect(cookie).toMatch(/HttpOnly/);
    expect(cookie).toMatch(/SameSite=Strict/);
    expect(cookie).not.toContain(KEY);
  });

  it('accepts writes of a session only with its CSRF token', async () => {
    const { cookie, session } = await login(KEY);
    const sent = cookie.split(';')[0] ?? '';
    expect((await ask(closed, '/v1/things', write({}))).status).toBe(401);
    expect((await ask(closed, '/v1/things', write({ cookie: sent }))).status).toBe(403);
    expect((await ask(closed, '/v1/things', write({ cookie: sent, 'x-csrf-token': 'x' }))).status).toBe(403);
    const written = await ask(
      closed,
      '/v1/things',
      write({ cookie: sent, 'x-csrf-token': session.csrfToken }),
    );
    expect(await written.json()).toEqual({ by: 'ada' });
  });

  it('rejects a session whose key has another role, and an unknown key', async () => {
    const { cookie, session } = await login('another-key-of-length');
    const sent = cookie.split(';')[0] ?? '';
    const headers = { cookie: sent, 'x-csrf-token': session.csrfToken };
    expect((await ask(closed, '/v1/things', write(headers))).status).toBe(403);
    expect((await login('not-a-key-that-is-known')).status).toBe(401);
  });
});
