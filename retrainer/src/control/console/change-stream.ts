import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { listen } from '@hotloop/platform/postgres/listener.ts';

const CHANNEL = 'hotloop_change';
/** Proxies cut connections on which nothing passes for long. */
const HEARTBEAT_MS = 15_000;
/** Many changes within this time are told once. */
const COLLECT_MS = 40;

/** Says which tables change, as they change; `all` when a notice may have been missed. */
export interface ChangeFeed {
  /** Returns the end of the subscription. */
  subscribe(listener: (topic: string) => void): () => void;
  /** Runs when the feed ends: streams that are open must end with it. */
  onEnd(listener: () => void): () => void;
  close(): Promise<void>;
}

/** One listening connection for all open pages. */
export function openChangeFeed(databaseUrl: string, log: Log): ChangeFeed {
  const listeners = new Set<(topic: string) => void>();
  const endings = new Set<() => void>();
  const listener = listen(
    databaseUrl,
    CHANNEL,
    (topic) => {
      for (const each of listeners) each(topic ?? 'all');
    },
    log,
  );
  return {
    subscribe(each) {
      listeners.add(each);
      return () => listeners.delete(each);
    },
    onEnd(each) {
      endings.add(each);
      return () => endings.delete(each);
    },
    async close() {
      for (const end of [...endings]) end();
      await listener.close();
    },
  };
}

/** GET /v1/events/stream: server-sent events of type `change`, whose data is the name of the table that changed. */
export function changeRoutes(feed: ChangeFeed): RouteModule {
  return (app) => {
    app.get(
      '/v1/events/stream',
      { config: { requires: 'operate' }, schema: { hide: true } },
      (request, reply) => {
        reply.hijack();
        const { raw } = reply;
        raw.writeHead(200, {
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-store',
          'x-content-type-options': 'nosniff',
          'x-accel-buffering': 'no',
        });
        raw.write('retry: 1000\n\nevent: open\ndata: \n\n');
        const waiting = new Set<string>();
        let timer: NodeJS.Timeout | undefined;
        const send = () => {
          timer = undefined;
          for (const topic of waiting) raw.write(`event: change\ndata: ${topic}\n\n`);
          waiting.clear();
        };
        const unsubscribe = feed.subscribe((topic) => {
          waiting.add(topic);
          timer ??= setTimeout(send, COLLECT_MS);
        });
        const heartbeat = setInterval(() => raw.write(': still here\n\n'), HEARTBEAT_MS);
        const forget = feed.onEnd(() => raw.end());
        request.raw.once('close', () => {
          clearTimeout(timer);
          clearInterval(heartbeat);
          unsubscribe();
          forget();
        });
      },
    );
  };
}
