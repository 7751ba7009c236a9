/** What a burst may use up. */
const TOKENS_MAX = 20
/** In the long run at most one request in five is a repetition, so that clients do not hold an overload alive. */
const TOKENS_PER_SUCCESS = 0.2

/** Further attempts that this client may still make. */
export class RetryBudget {
  #tokens = TOKENS_MAX

  take(): boolean {
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  refill(): void {
    this.#tokens = Math.min(TOKENS_MAX, this.#tokens + TOKENS_PER_SUCCESS)
  }
}
