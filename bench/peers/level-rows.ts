/** As many as a commit of ours may hold: with fewer it is the fsync that is measured. */
export const ROWS_PER_REQUEST = 1_000
