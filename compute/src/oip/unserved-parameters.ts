import { HotloopError } from '@hotloop/proto/errors.ts';
import { quoted } from '@hotloop/proto/quoted.ts';

export type Parameters = Readonly<Record<string, string | number | bigint | boolean>>;

const ALONE = 'sequences are not supported: each request is independent';
const IN_THE_MESSAGE = 'tensors are sent in the messages themselves';
const SHARED_MEMORY = {
  shared_memory_region: IN_THE_MESSAGE,
  shared_memory_byte_size: IN_THE_MESSAGE,
  shared_memory_offset: IN_THE_MESSAGE,
} as const;

/**
 * Parameters of the protocol that would change the meaning of an answer, each with the reason why it is not
 * supported.
 */
const UNSERVED = {
  request: { sequence_id: ALONE, sequence_start: ALONE, sequence_end: ALONE },
  input: SHARED_MEMORY,
  output: { ...SHARED_MEMORY, classification: 'outputs are returned as the model computes them' },
} as const;

export type Place = keyof typeof UNSERVED;

/**
 * Rejects parameters that would otherwise be ignored. Clients also send such parameters switched off, so false, 0 and
 * the empty text are allowed. `tensor` is the name of the input or output. Throws UNIMPLEMENTED
 * `unsupported_parameter` naming the parameter.
 */
export function refuseUnserved(place: Place, tensor: string, parameters: Parameters): void {
  for (const [name, why] of Object.entries(UNSERVED[place])) {
    const value = parameters[name];
    if (value === undefined || value === false || value === '' || value === 0 || value === 0n) continue;
    const where = place === 'request' ? '' : ` of ${place} ${quoted(tensor)}`;
    throw new HotloopError('UNIMPLEMENTED', `parameter ${quoted(name)}${where} is not served: ${why}`, {
      reason: 'unsupported_parameter',
    });
  }
}
