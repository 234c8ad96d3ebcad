/**
 * Required environment of a process that runs ONNX Runtime. Without it, the runtime's published builds write an
 * identifier and a database into the user's home folder, and send telemetry about loaded models to the vendor.
 */
export const RUNTIME_ENVIRONMENT = { ORT_DISABLE_TELEMETRY: '1' } as const;
