import { registerHooks } from "node:module";

/**
 * Registers the gradients of TensorFlow.js. Its build for Node leaves them out, as the all-in-one package
 * @tensorflow/tfjs adds them; they lie in tfjs-core's module build, which is written for bundlers: imports there name
 * files without their ending, and folders. Both builds share one engine and one registry.
 */
export async function registerGradients(): Promise<void> {
  const hooks = registerHooks({
    resolve(specifier, context, nextResolve) {
      const bundled =
        context.parentURL?.includes("/@tensorflow/tfjs-core/dist/") && specifier.startsWith(".");
      if (!bundled) return nextResolve(specifier, context);
      try {
        return nextResolve(`${specifier}.js`, context);
      } catch {
        return nextResolve(`${specifier}/index.js`, context);
      }
    },
  });
  await import("@tensorflow/tfjs-core/dist/register_all_gradients.js");
  hooks.deregister();
}
