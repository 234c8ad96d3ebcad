// Original file: hotloop/v1/registry.proto

import type { NodeVersion as _hotloop_v1_NodeVersion, NodeVersion__Output as _hotloop_v1_NodeVersion__Output } from '../../hotloop/v1/NodeVersion.ts';

export interface ModelVersion {
  'model'?: (string);
  'version'?: (number);
  'bundleSha256'?: (string);
  'onnxSha256'?: (string);
  'parentVersion'?: (number);
  'datasetSha256'?: (string);
  'runId'?: (string);
  /**
   * registered, live, previous or retired.
   */
  'state'?: (string);
  'metrics'?: ({[key: string]: number | string});
  'createdAt'?: (string);
  'note'?: (string);
  'nodes'?: (_hotloop_v1_NodeVersion)[];
}

export interface ModelVersion__Output {
  'model': (string);
  'version': (number);
  'bundleSha256': (string);
  'onnxSha256': (string);
  'parentVersion': (number);
  'datasetSha256': (string);
  'runId': (string);
  /**
   * registered, live, previous or retired.
   */
  'state': (string);
  'metrics': ({[key: string]: number});
  'createdAt': (string);
  'note': (string);
  'nodes': (_hotloop_v1_NodeVersion__Output)[];
}
