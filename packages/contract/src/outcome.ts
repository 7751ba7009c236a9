/** What became of a write that did not succeed. A 2xx is *applied*. */
export type FailedOutcome = 'not-applied' | 'unknown'

export type Outcome = 'applied' | FailedOutcome
