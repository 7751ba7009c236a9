import { fittedSessionText, parseSessionText, SessionToken, type SessionView, type Sighting } from '@grapevine/core'

/** The sessions of clients that do one thing after the other, as texts: the way they come to a node and back. */
export class ClientSessions {
  /** By client and cluster: where there are several, a client has a session in each. */
  readonly #texts = new Map<string, string>()
  readonly #begun = new Map<string, number>()

  /** What a checker is to call the client: each of its sessions is a client of its own. */
  nameOf(client: string): string {
    const begun = this.#begun.get(client) ?? 0
    return begun === 0 ? client : `${client}.${begun}`
  }

  tokenOf(client: string, { cluster }: SessionView): SessionToken {
    const text = this.#texts.get(`${client} ${cluster}`)
    return text === undefined ? new SessionToken(cluster) : parseSessionText(text)
  }

  textAfter(token: SessionToken, seen: Sighting | undefined, view: SessionView): string {
    if (seen !== undefined) token.see(seen)
    return fittedSessionText(token, view)
  }

  learn(client: string, cluster: string, text: string): void {
    this.#texts.set(`${client} ${cluster}`, text)
  }

  /** Something that it had seen is lost for good. */
  beginAnew(client: string, { cluster }: SessionView): void {
    this.#texts.delete(`${client} ${cluster}`)
    this.#begun.set(client, (this.#begun.get(client) ?? 0) + 1)
  }
}
