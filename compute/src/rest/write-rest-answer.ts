import type { OipAnswer } from '../oip/oip-request.ts';
import { jsonElements } from './rest-tensors.ts';

export interface RestAnswer {
  /** JSON, followed by the binary outputs in their order. */
  readonly body: readonly Uint8Array[];
  /** Length of the JSON in bytes; undefined when the whole body is JSON. */
  readonly headerBytes: number | undefined;
}

/** An answer in the REST protocol. Outputs requested as binary follow the JSON, which gives their sizes. */
export function writeRestAnswer(answer: OipAnswer, isBinary: (output: string) => boolean): RestAnswer {
  const binary: Uint8Array[] = [];
  const outputs = answer.outputs.map((output) => {
    const { name, datatype, shape } = output;
    if (!isBinary(name)) return { name, datatype, shape, data: jsonElements(output) };
    binary.push(output.contents);
    return { name, datatype, shape, parameters: { binary_data_size: output.contents.length } };
  });
  const json = Buffer.from(
    JSON.stringify({
      model_name: answer.model,
      model_version: String(answer.version),
      ...(answer.id === '' ? {} : { id: answer.id }),
      parameters: { prediction_id: answer.predictionId },
      outputs,
    }),
  );
  return { body: [json, ...binary], headerBytes: binary.length === 0 ? undefined : json.length };
}
