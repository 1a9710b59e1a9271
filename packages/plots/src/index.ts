export * from "./axes.ts";
export * from "./curves.ts";
export * from "./curves-view.ts";
export * from "./embedding-map.ts";
export * from "./interval-plot.ts";
export * from "./line-chart.ts";
export * from "./series.ts";
export * from "./tree.ts";
