import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const SERVER = "http://127.0.0.1:8080";

export default defineConfig({
  base: "./", // the page may lie below a path of a proxy
  plugins: [react(), tailwindcss()],
  build: {
    outDir: "../stream_detect/page",
    emptyOutDir: true,
    assetsInlineLimit: 0, // the content security policy of the server allows files only
  },
  server: { proxy: { "/api": SERVER, "/webrtc": SERVER, "/whep": SERVER } },
  test: {
    include: ["tests/**/*.test.{ts,tsx}"],
    setupFiles: ["tests/patience.ts"],
    testTimeout: 120_000, // longer than what it waits for
    environment: "happy-dom",
    restoreMocks: true,
  },
});
