import type { FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Caller, Requirement } from '../auth/authorization.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route asks of its caller. A route without it is refused when the server starts: default deny. */
    requires?: Requirement;
  }
  interface FastifyRequest {
    /** Who asks; set before the handler runs. */
    caller: Caller;
  }
}

/** The application that routes are added to: bodies, queries and answers are described by zod schemas. */
export type HttpApp = ReturnType<typeof typed>;

/** Adds the routes of one module. Every route names the role it needs in `config.requires`. */
export type RouteModule = (app: HttpApp) => void | Promise<void>;

/** The application with schemas by zod. */
export function typed(bare: FastifyInstance) {
  const app = bare.withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  return app;
}
