import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { z } from '../config.ts';
import type { RouteModule } from './http-app.ts';

/** No inline code, nothing from other origins, and no embedding in frames of other pages. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** File names that the build generates. */
const ASSET = /^\w[\w.-]*$/;

/** Headers of every answer of a server that has pages. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
};

/**
 * Serves the files of a built single-page application: `assets/` (names contain a content hash, cached for a year),
 * and `index.html` at every other path outside /v1 that a browser opens. Without the files, the paths answer with an
 * explanation.
 *
 * @param folder absolute path that contains `index.html` and `assets/`.
 */
export function pageRoutes(folder: string): RouteModule {
  return async (app) => {
    // The plugin's own route would name no role, so we add ours.
    await app.register(fastifyStatic, { root: join(folder, 'assets'), serve: false, suppressWarning: true });
    app.get(
      '/assets/:name',
      { config: { requires: 'public' }, schema: { hide: true, params: z.object({ name: z.string() }) } },
      (request, reply) => {
        const { name } = request.params;
        if (!ASSET.test(name)) throw new HotloopError('NOT_FOUND', 'there is no such file');
        return reply.sendFile(name, { maxAge: '365d', immutable: true });
      },
    );
    app.addHook('onSend', async (_request, reply) => {
      reply.headers(PAGE_HEADERS);
    });
    app.get('/*', { config: { requires: 'public' }, schema: { hide: true } }, async (request, reply) => {
      const path = request.url.split('?')[0] ?? '';
      const isPage = !path.startsWith('/v1/') && (request.headers.accept ?? '').includes('text/html');
      if (!isPage) throw new HotloopError('NOT_FOUND', `${request.method} ${path} is not served here`);
      const page = await readFile(join(folder, 'index.html')).catch((cause: unknown) => {
        throw new HotloopError('NOT_FOUND', 'the console is not built: `npx vite build console` builds it', {
          reason: 'console_not_built',
          cause,
        });
      });
      return reply.type('text/html; charset=utf-8').header('cache-control', 'no-cache').send(page);
    });
  };
}
