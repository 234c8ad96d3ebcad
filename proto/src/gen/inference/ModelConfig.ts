// Original file: inference/model_config.proto

import type { ModelVersionPolicy as _inference_ModelVersionPolicy, ModelVersionPolicy__Output as _inference_ModelVersionPolicy__Output } from '../inference/ModelVersionPolicy.ts';
import type { ModelInput as _inference_ModelInput, ModelInput__Output as _inference_ModelInput__Output } from '../inference/ModelInput.ts';
import type { ModelOutput as _inference_ModelOutput, ModelOutput__Output as _inference_ModelOutput__Output } from '../inference/ModelOutput.ts';
import type { ModelInstanceGroup as _inference_ModelInstanceGroup, ModelInstanceGroup__Output as _inference_ModelInstanceGroup__Output } from '../inference/ModelInstanceGroup.ts';
import type { ModelDynamicBatching as _inference_ModelDynamicBatching, ModelDynamicBatching__Output as _inference_ModelDynamicBatching__Output } from '../inference/ModelDynamicBatching.ts';
import type { ModelParameter as _inference_ModelParameter, ModelParameter__Output as _inference_ModelParameter__Output } from '../inference/ModelParameter.ts';
import type { ModelTransactionPolicy as _inference_ModelTransactionPolicy, ModelTransactionPolicy__Output as _inference_ModelTransactionPolicy__Output } from '../inference/ModelTransactionPolicy.ts';
import type { ModelResponseCache as _inference_ModelResponseCache, ModelResponseCache__Output as _inference_ModelResponseCache__Output } from '../inference/ModelResponseCache.ts';

export interface ModelConfig {
  'name'?: (string);
  'platform'?: (string);
  'versionPolicy'?: (_inference_ModelVersionPolicy | null);
  /**
   * 0: the model does not batch; its dims are complete.
   */
  'maxBatchSize'?: (number);
  'input'?: (_inference_ModelInput)[];
  'output'?: (_inference_ModelOutput)[];
  'instanceGroup'?: (_inference_ModelInstanceGroup)[];
  'defaultModelFilename'?: (string);
  'dynamicBatching'?: (_inference_ModelDynamicBatching | null);
  'parameters'?: ({[key: string]: _inference_ModelParameter});
  'backend'?: (string);
  'modelTransactionPolicy'?: (_inference_ModelTransactionPolicy | null);
  'responseCache'?: (_inference_ModelResponseCache | null);
  'schedulingChoice'?: "dynamicBatching";
}

export interface ModelConfig__Output {
  'name': (string);
  'platform': (string);
  'versionPolicy': (_inference_ModelVersionPolicy__Output | null);
  /**
   * 0: the model does not batch; its dims are complete.
   */
  'maxBatchSize': (number);
  'input': (_inference_ModelInput__Output)[];
  'output': (_inference_ModelOutput__Output)[];
  'instanceGroup': (_inference_ModelInstanceGroup__Output)[];
  'defaultModelFilename': (string);
  'dynamicBatching'?: (_inference_ModelDynamicBatching__Output | null);
  'parameters': ({[key: string]: _inference_ModelParameter__Output});
  'backend': (string);
  'modelTransactionPolicy': (_inference_ModelTransactionPolicy__Output | null);
  'responseCache': (_inference_ModelResponseCache__Output | null);
  'schedulingChoice'?: "dynamicBatching";
}
