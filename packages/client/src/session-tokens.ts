import { formatSessionHeader, parseSessionHeader, SESSION_HEADER_CHARS_MAX } from '@grapevine/contract'
import { GrapevineError } from './grapevine-error.ts'

/**
 * What a session has seen, as tokens of which none contains another (contract, `session.ts`). An answer's token
 * contains those that went with its request, so they go; those that other answers brought meanwhile stay.
 */
export class SessionTokens {
  #tokens: ReadonlySet<string>

  /** @throws {GrapevineError} `bad_argument` for a text that no session exported. */
  constructor(saved?: string) {
    const tokens = saved === undefined ? [] : parseSessionHeader(saved)
    if (tokens === undefined)
      throw new GrapevineError({ code: 'bad_argument', message: 'This is no token of a session: it was changed.' })
    this.#tokens = new Set(tokens)
  }

  /** What a request now would have to send. Never changed: each change makes a new set. */
  get all(): ReadonlySet<string> {
    return this.#tokens
  }

  get text(): string | undefined {
    return this.#tokens.size === 0 ? undefined : formatSessionHeader(this.#tokens)
  }

  get fitsHeader(): boolean {
    return (this.text?.length ?? 0) <= SESSION_HEADER_CHARS_MAX
  }

  /** A text that is no token tells nothing, and takes nothing away. */
  learn(sent: ReadonlySet<string>, answered: string | null): void {
    const tokens = answered === null ? undefined : parseSessionHeader(answered)
    if (tokens === undefined) return
    this.#tokens = new Set([...[...this.#tokens].filter((token) => !sent.has(token)), ...tokens])
  }
}
