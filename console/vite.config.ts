// Builds the console into the gateway's package. Nothing is inlined, because the policy of the page forbids that.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    outDir: "../services/triptych/gateway/pages/console",
    emptyOutDir: true,
    assetsDir: "console-files",
    assetsInlineLimit: 0,
    modulePreload: false,
  },
});
