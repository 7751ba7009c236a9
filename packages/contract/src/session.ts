/**
 * Sessions (P7): read your writes, monotonic reads, monotonic writes, writes follow reads, per key, on any node.
 *
 * A **token** is opaque to the client: 1 to 8192 characters of `A-Z a-z 0-9 - _ . ~`. The token of an answer contains
 * the tokens that came with its request; it does not contain what other requests, under way at the same time, learnt.
 * A client with several requests in flight therefore holds several tokens, none of which contains another, and being
 * opaque they cannot be merged by it. So the header is a list:
 *
 *     Grapevine-Session = token *( OWS "," OWS token )        ; at most 8192 characters in all
 *
 * - In a request the node **joins** them: it takes for each writer and partition the greatest dot, and the greatest
 *   hlc, as if they had been one token. The order means nothing; the same token twice is no mistake. A text that
 *   is no token is 400 `bad_header`, a token of another cluster 421 `wrong_cluster`, and nothing is done.
 * - In an answer there is exactly **one** token. It contains all that were sent. The client then drops those that
 *   it had sent with this request, and keeps this one beside those it has learnt meanwhile.
 * - Who holds more than fits into the header joins them first: {@link SessionRequest}.
 *
 * How many a client holds is bounded by the requests it has in flight, and one answered request makes them one again.
 */
export const SESSION_HEADER_CHARS_MAX = 8192

const TOKEN = /^[A-Za-z0-9._~-]{1,8192}$/

/** The tokens in a header, or `undefined` when one of them is none. */
export function parseSessionHeader(text: string): string[] | undefined {
  const tokens = text.split(',').map((token) => token.trim())
  return tokens.every((token) => TOKEN.test(token)) ? [...new Set(tokens)] : undefined
}

export function formatSessionHeader(tokens: Iterable<string>): string {
  return [...tokens].join(',')
}

/**
 * `POST /v1/session`: joins tokens. A pure function of its input on any node: it touches no data, waits for nothing,
 * and is safe to repeat. Body at most 1 MiB. Also the way to continue the sessions of two devices as one.
 */
export interface SessionRequest {
  readonly tokens: readonly string[]
}

export interface SessionBody {
  /** Contains all of them; generalised where it would exceed 8192 characters. */
  readonly token: string
}
