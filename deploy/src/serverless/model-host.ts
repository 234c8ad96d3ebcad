import { HotloopError } from '@hotloop/proto/errors.ts';
import type { LambdaAnswer, LambdaEvent } from './lambda-handler.ts';

type Handle = (event: LambdaEvent) => Promise<LambdaAnswer>;

/** The models of one container, which SageMaker loads and unloads. */
export interface ModelHost {
  /** Throws ALREADY_EXISTS; rejects for a folder without a fused file. */
  load(name: string, folder: string): Promise<void>;
  unload(name: string): boolean;
  find(name: string): Handle | undefined;
  list(): readonly { readonly modelName: string; readonly modelUrl: string }[];
}

/** Models of SageMaker's multi-model containers: many at once, each a folder with `model.onnx`. */
export function openModelHost(open: (folder: string) => Promise<Handle>): ModelHost {
  const models = new Map<string, { readonly folder: string; readonly handle: Handle }>();
  return {
    async load(name, folder) {
      if (models.has(name)) throw new HotloopError('ALREADY_EXISTS', `model ${name} is loaded already`);
      const handle = await open(folder);
      models.set(name, { folder, handle });
    },
    unload: (name) => models.delete(name),
    find: (name) => models.get(name)?.handle,
    list: () => [...models].map(([modelName, { folder }]) => ({ modelName, modelUrl: folder })),
  };
}
