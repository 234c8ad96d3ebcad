import { defineConfig } from 'vite';

// Whatever runs the build (a test, for one, says so in NODE_ENV), people get React as it is published.
process.env.NODE_ENV = 'production';

// The files are served under a policy that allows nothing inline, so nothing may be inlined here.
export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2023',
    reportCompressedSize: false,
    // Libraries mark modules for servers that render; nothing here does.
    rolldownOptions: {
      onwarn: (warning, warn) => warning.code !== 'MODULE_LEVEL_DIRECTIVE' && warn(warning),
    },
  },
});
