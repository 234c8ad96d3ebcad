import { Client, type ServiceDefinition } from '@grpc/grpc-js';
import { CONTRACT_FILES, loadDefinitions, loadOipDefinitions } from '@hotloop/proto/definitions.ts';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { AUTHORIZATION, createAuthenticator } from '../auth/authorization.ts';
import { silentLog } from '../log.ts';
import { openChannel } from './client.ts';
import { startGrpcServer } from './server.ts';

const definitions = loadDefinitions(['hotloop/v1/jobs.proto', 'hotloop/v1/decision.proto']);

/** The part of grpc/reflection/v1/reflection.proto that these tests use. */
const types = protobuf.parse(`
  syntax = "proto3";
  message Request { oneof message_request { string list_services = 7; string file_containing_symbol = 4; } }
  message Files { repeated bytes file_descriptor_proto = 1; }
  message Services { repeated Service service = 1; }
  message Service { string name = 1; }
  message Response { Files file_descriptor_response = 4; Services list_services_response = 6; }
`).root;
const Request = types.lookupType('Request');
const Response = types.lookupType('Response');

interface Reply {
  listServicesResponse?: { service: { name: string }[] };
  fileDescriptorResponse?: { fileDescriptorProto: Buffer[] };
}

function ask(client: Client, version: string, request: object): Promise<Reply> {
  const stream = client.makeBidiStreamRequest(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    (message: object) => Buffer.from(Request.encode(Request.fromObject(message)).finish()),
    (bytes: Buffer) => Response.toObject(Response.decode(bytes)) as Reply,
    { deadline: Date.now() + 5000 },
  );
  return new Promise((resolve, reject) => {
    stream.on('error', reject);
    stream.on('data', (reply: Reply) => {
      stream.end();
      resolve(reply);
    });
    stream.write(request);
  });
}

describe.each(['v1', 'v1alpha'])('reflection %s', (version) => {
  it('shows the served services, and no others of the definitions', async () => {
    await using server = await startGrpcServer({
      services: [{ name: 'hotloop.v1.JobService', handlers: {} }],
      definitions,
      address: '127.0.0.1:0',
      authenticator: createAuthenticator(undefined),
      log: silentLog(),
    });
    const channel = openChannel(server.address);
    const client = new Client(channel.address, channel.credentials, channel.options);
    try {
      const { listServicesResponse } = await ask(client, version, { listServices: '*' });
      const names = listServicesResponse?.service.map((service) => service.name) ?? [];
      expect(names).toContain('hotloop.v1.JobService');
      expect(names).not.toContain('hotloop.v1.DecisionService');
      const { fileDescriptorResponse } = await ask(client, version, {
        fileContainingSymbol: 'hotloop.v1.JobService',
      });
      const files = fileDescriptorResponse?.fileDescriptorProto ?? [];
      expect(Buffer.concat(files).includes('RetrainRequest')).toBe(true);
    } finally {
      client.close();
    }
  });
});

describe('every method of the contracts', () => {
  it('has a row in the authorization table', () => {
    const all = { ...loadDefinitions(CONTRACT_FILES), ...loadOipDefinitions() };
    const paths = Object.values(all)
      .filter((definition) => !('format' in definition))
      .flatMap((service) => Object.values(service as ServiceDefinition).map((method) => method.path));
    expect(paths.length).toBeGreaterThan(15);
    expect(paths.filter((path) => !AUTHORIZATION.has(path))).toEqual([]);
  });
});
