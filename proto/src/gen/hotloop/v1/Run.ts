// Original file: hotloop/v1/jobs.proto

import type { Long } from '@grpc/proto-loader';

export interface Run {
  'runId'?: (string);
  'model'?: (string);
  /**
   * requested, collecting, training, judging, registering, promoting, succeeded, refused, failed.
   */
  'state'?: (string);
  'message'?: (string);
  'parentVersion'?: (number);
  /**
   * 0 until registered.
   */
  'version'?: (number);
  'examples'?: (number | string | Long);
  /**
   * Progress from 0 to 1 within the state training.
   */
  'progress'?: (number | string);
  'metrics'?: ({[key: string]: number | string});
  'createdAt'?: (string);
  'endedAt'?: (string);
  'datasetSha256'?: (string);
}

export interface Run__Output {
  'runId': (string);
  'model': (string);
  /**
   * requested, collecting, training, judging, registering, promoting, succeeded, refused, failed.
   */
  'state': (string);
  'message': (string);
  'parentVersion': (number);
  /**
   * 0 until registered.
   */
  'version': (number);
  'examples': (number);
  /**
   * Progress from 0 to 1 within the state training.
   */
  'progress': (number);
  'metrics': ({[key: string]: number});
  'createdAt': (string);
  'endedAt': (string);
  'datasetSha256': (string);
}
