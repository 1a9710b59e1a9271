/** The part of jStat that the statistics use; the library ships no types. */
declare module "jstat" {
  const library: {
    readonly jStat: {
      readonly studentt: {
        /** Quantile of Student's t distribution. */
        inv(probability: number, degreesOfFreedom: number): number;
      };
    };
  };
  export default library;
}
