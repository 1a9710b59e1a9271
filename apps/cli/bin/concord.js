console.error("build");
