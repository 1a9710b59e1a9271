/** A request that cannot be carried out as it stands; the message says what to change. */
export class AdaptRequestError extends Error {
  override readonly name = "AdaptRequestError";
}

/** The data do not allow it: unknown columns, counts that differ, too few rows. */
export class AdaptDataError extends Error {
  override readonly name = "AdaptDataError";
}

/** The output folder cannot be used: it holds something else, or somebody works in it. */
export class AdaptFolderError extends Error {
  override readonly name = "AdaptFolderError";
}
