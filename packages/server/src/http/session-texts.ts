import { fittedSessionText, parseSessionText, type SessionToken, type SessionView } from '@grapevine/core'

/** A smaller one is read in a few microseconds. */
const REMEMBERED_FROM_CHARS = 256
/** One of 4 KiB holds about three times as much; what has not changed since the one before it is shared. */
const REMEMBERED_MAX = 64

/**
 * The tokens of late, by their texts: a client sends back what it was given, and to read a large one takes longer than to
 * do what the request asks for.
 */
export class SessionTexts {
  /** The one used last is the last one. */
  readonly #tokens = new Map<string, SessionToken>()

  /**
   * Not to be changed: it may be given out again.
   * @throws {MalformedSessionError}
   */
  parse(text: string): SessionToken {
    const token = this.#tokens.get(text) ?? parseSessionText(text)
    this.#remember(text, token)
    return token
  }

  /** The text for an answer, see {@link fittedSessionText}. The token is not to be changed behind it. */
  textOf(token: SessionToken, view: SessionView | undefined): string {
    const text = fittedSessionText(token, view)
    this.#remember(text, token)
    return text
  }

  #remember(text: string, token: SessionToken): void {
    if (text.length < REMEMBERED_FROM_CHARS) return
    this.#tokens.delete(text)
    this.#tokens.set(text, token)
    if (this.#tokens.size <= REMEMBERED_MAX) return
    const [oldest = ''] = this.#tokens.keys()
    this.#tokens.delete(oldest)
  }
}
