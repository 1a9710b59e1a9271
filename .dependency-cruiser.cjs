// Import arrows point only downwards (see ARCHITECTURE.md). A room may import the rooms listed after it.
const rooms = {
  "apps/cli": ["apps/site", "packages/feed", "packages/papers", "packages/data", "packages/align", "packages/nn", "packages/tensor"],
  "apps/site": ["packages/feed", "packages/papers"],
  "packages/feed": ["packages/papers"],
  "packages/papers": ["packages/data", "packages/align", "packages/nn", "packages/tensor"],
  "packages/data": ["packages/tensor"],
  "packages/align": ["packages/tensor"],
  "packages/nn": ["packages/tensor"],
  "packages/tensor": [],
};

const directionRules = Object.entries(rooms).map(([room, allowed]) => ({
  name: `${room.replace("/", "-")}-imports-only-rooms-below`,
  severity: "error",
  from: { path: `^${room}/` },
  to: { path: "^(apps|packages)/", pathNot: `^(${[room, ...allowed].join("|")})/` },
}));

module.exports = {
  forbidden: [
    ...directionRules,
    {
      name: "a-paper-touches-only-its-own-folder",
      severity: "error",
      from: { path: "^packages/papers/src/catalogue/([^/]+)/" },
      to: { path: "^packages/papers/src/catalogue/([^/]+)/", pathNot: "^packages/papers/src/catalogue/$1/" },
    },
    {
      name: "the-harness-knows-no-paper",
      severity: "error",
      from: { path: "^packages/papers/src/harness/" },
      to: { path: "^packages/papers/src/catalogue/" },
    },
    { name: "no-circular", severity: "error", from: { pathNot: "test" }, to: { circular: true } },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    parser: "swc",
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)dist/" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["source", "import", "node", "default"], extensions: [".ts", ".js", ".mjs", ".json"] },
  },
};
