/** How an image is converted to a tensor; equal settings give equal tensors for one image. */
export interface ImageSettings {
  /** Of the tensor, in pixels. */
  readonly width: number;
  readonly height: number;
  /** 3: red, green, blue. 1: grey. */
  readonly channels: 1 | 3;
  /**
   * crop: scale until the tensor is covered, and cut out the center. pad: scale until the image fits, with a white
   * border. stretch: scale each side independently.
   */
  readonly fit: 'crop' | 'pad' | 'stretch';
  /** With crop: the shorter side is first scaled to this many pixels, so that only the center remains. */
  readonly shorter: number | undefined;
  /** (value / 255 - mean) / std, one number per channel. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** One image that must be decoded before the plan can run. */
export interface ImageRead {
  readonly feature: string;
  /** The feature, its source and its candidate, for messages. */
  readonly where: string;
  /** Row of the prediction; 0 for a feature of the request. */
  readonly row: number;
  /** As received: base64 of a JPEG or PNG file, with or without the prefix `data:...;base64,`. */
  readonly value: unknown;
  readonly settings: ImageSettings;
}

/** Decoded images by feature: one float32[channels, height, width] per row; undefined if the image is absent. */
export type DecodedImages = ReadonlyMap<string, readonly (Float32Array | undefined)[]>;
