import type { FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Caller, Requirement } from '../auth/authorization.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The role that the route requires. A route without it is rejected when the server starts: default deny. */
    requires?: Requirement;
    /** The handler itself checks which model the caller may access, because it reads the model's name from a manifest. */
    checksModel?: boolean;
  }
  interface FastifyRequest {
    /** The authenticated caller; set before the handler runs. */
    caller: Caller;
  }
}

/** The Fastify application that routes are added to; zod schemas describe bodies, queries and answers. */
export type HttpApp = ReturnType<typeof typed>;

/** Adds the routes of one module. Every route names the role it requires in `config.requires`. */
export type RouteModule = (app: HttpApp) => void | Promise<void>;

/** The application with zod schemas. */
export function typed(bare: FastifyInstance) {
  const app = bare.withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  return app;
}
