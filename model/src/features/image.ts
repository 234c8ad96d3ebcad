/** How a picture becomes a tensor; equal settings make equal tensors of one picture. */
export interface ImageSettings {
  /** Of the tensor, in pixels. */
  readonly width: number;
  readonly height: number;
  /** 3: red, green, blue. 1: grey. */
  readonly channels: 1 | 3;
  /**
   * crop: scale until the tensor is covered, and cut out the middle. pad: scale until it fits, white around it. stretch: scale each side
   * by itself.
   */
  readonly fit: 'crop' | 'pad' | 'stretch';
  /** With crop: the shorter side is first scaled to so many pixels, so that the middle alone is seen. */
  readonly shorter: number | undefined;
  /** (value / 255 - mean) / std, one number for each channel. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** One picture that must be decoded before the plan can run. */
export interface ImageRead {
  readonly feature: string;
  /** Row of the prediction; 0 for a feature of the request. */
  readonly row: number;
  /** As it arrived: base64 of a JPEG or PNG file, with or without `data:...;base64,` before it. */
  readonly value: unknown;
  readonly settings: ImageSettings;
}

/** Decoded pictures: of a feature, one float32[channels, height, width] a row; undefined where the picture is absent. */
export type DecodedImages = ReadonlyMap<string, readonly (Float32Array | undefined)[]>;
