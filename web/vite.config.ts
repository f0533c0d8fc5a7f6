/// <reference types="vitest/config" />
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { thirdPartyLicences } from './build/licences.ts';

// The server that `npm run dev` asks, for whoever works on the console.
const server = process.env.LOCKSTEP_URL ?? 'http://127.0.0.1:8083';
const api = { target: server, changeOrigin: true, headers: { origin: server } };

// Packages by the file that they end in. A file changes only when its packages
// do, so that a rebuild leaves most of dist as it was. What only some pages use is
// apart from what every page fetches first.
const groups: { name: string; test: RegExp; tags?: '$initial'[] }[] = [
  { name: 'graph', test: /node_modules\/(@xyflow|@dagrejs|d3-(selection|zoom|drag|transition|ease|timer|dispatch)|classcat|zustand)\// },
  { name: 'editor', test: /node_modules\/(@codemirror|@lezer|@marijn|crelt|style-mod|w3c-keyname)\// },
  { name: 'markdown', test: /node_modules\/(marked|dompurify)\// },
  { name: 'vendor', test: /node_modules\//, tags: ['$initial'] },
  { name: 'vendor-pages', test: /node_modules\// },
  // The parts of pages, but for those that are fetched when they are needed.
  { name: 'kit', test: /src\/kit\/(?!lazy\/)/, tags: ['$initial'] },
  { name: 'kit-pages', test: /src\/kit\/(?!lazy\/)/ },
];

export default defineConfig({
  base: './',
  plugins: [react(), thirdPartyLicences('THIRD_PARTY_LICENSES.txt')],
  build: {
    outDir: process.env.LOCKSTEP_CONSOLE_OUT ?? '../internal/console/dist',
    emptyOutDir: true,
    sourcemap: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    chunkSizeWarningLimit: 900,
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: '[name].js',
        assetFileNames: '[name][extname]',
        codeSplitting: {
          // Else a group takes what its packages stand on with it, React first of all.
          includeDependenciesRecursively: false,
          groups: groups.map((group, i) => ({ ...group, priority: groups.length - i })),
        },
      },
      input: { app: 'index.html' },
    },
  },
  worker: {
    format: 'es',
    rolldownOptions: { output: { entryFileNames: '[name].js', chunkFileNames: '[name]-worker.js', assetFileNames: '[name][extname]' } },
  },
  server: {
    proxy: {
      '/api': api,
      '/': { ...api, bypass: (req) => (req.method === 'POST' ? undefined : req.url) },
    },
  },
  test: { environment: 'happy-dom', include: ['src/**/*.test.{ts,tsx}'], css: false },
});
