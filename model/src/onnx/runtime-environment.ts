/**
 * What a process that runs ONNX Runtime must find in its environment. The runtime's published builds otherwise write an identifier
 * and a database into the user's home, and report what is loaded and how it runs to their maker.
 */
export const RUNTIME_ENVIRONMENT = { ORT_DISABLE_TELEMETRY: '1' } as const;
