import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { openHttpServer, type RouteModule } from '@hotloop/platform/http/http-server.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import { type FrontDoor, predictionRoutes } from '@hotloop/preprocessor/http/prediction-routes.ts';
import { type ControlDependencies, controlRoutes } from '@hotloop/retrainer/control/control-routes.ts';
import type { Facts } from './facts.ts';
import { type JsonSchema, schemaFacts } from './schema-facts.ts';

interface Operation {
  readonly parameters?: readonly {
    readonly in: string;
    readonly name: string;
    readonly required?: boolean;
    readonly schema?: JsonSchema;
  }[];
  readonly requestBody?: { readonly content?: Readonly<Record<string, { readonly schema?: JsonSchema }>> };
  readonly responses?: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: JsonSchema }>> }>
  >;
}

/** A placeholder for the dependencies of routes, which are only described here and never called. */
function anything(): unknown {
  return new Proxy(() => undefined, {
    get: (_, name) => (name === Symbol.iterator || name === 'then' ? undefined : anything()),
    apply: () => anything(),
  });
}

/**
 * Operations, parameters, bodies and answers of the prediction API and the control API, from their OpenAPI documents.
 */
export async function httpFacts(): Promise<Facts> {
  return {
    ...(await factsOf('front-door', predictionRoutes(anything() as FrontDoor))),
    ...(await factsOf('control', controlRoutes(anything() as ControlDependencies))),
  };
}

async function factsOf(title: string, routes: readonly RouteModule[]): Promise<Facts> {
  await using metrics = openMetrics('compatibility');
  await using server = await openHttpServer(
    { listen: '127.0.0.1:0', title, routes },
    { authenticator: createAuthenticator(undefined), metrics, log: silentLog() },
  );
  const response = await fetch(`http://${server.address}/openapi.json`);
  const { paths } = (await response.json()) as {
    paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  };
  const facts: Record<string, string> = {};
  for (const [path, methods] of Object.entries(paths))
    for (const [method, operation] of Object.entries(methods))
      Object.assign(facts, operationFacts(`http ${title} ${method.toUpperCase()} ${path}`, operation));
  return facts;
}

/** Facts of one OpenAPI operation. */
export function operationFacts(name: string, { parameters, requestBody, responses }: Operation): Facts {
  const facts: Record<string, string> = { [name]: '' };
  for (const parameter of parameters ?? []) {
    facts[`${name} | ${parameter.in} ${parameter.name}`] = String(parameter.schema?.type ?? '');
    if (parameter.required && parameter.in !== 'path')
      facts[`requires ${name} | ${parameter.in} ${parameter.name}`] = '';
  }
  for (const [type, { schema }] of Object.entries(requestBody?.content ?? {}))
    if (schema) Object.assign(facts, renamed(schemaFacts(name, schema, true), name, `takes ${type}`));
  for (const [status, { content }] of Object.entries(responses ?? {}))
    for (const { schema } of Object.values(content ?? {}))
      if (schema && status.startsWith('2'))
        Object.assign(facts, renamed(schemaFacts(name, schema, false), name, `answers ${status}`));
  return facts;
}

function renamed(facts: Facts, of: string, part: string): Facts {
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [name.replace(`${of} | `, `${of} | ${part} `), value]),
  );
}
