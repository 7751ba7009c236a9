import { jsonBatchFormat } from './batch-format.ts'
import type { ConnectOptions } from './connection.ts'
import { fetchContact } from './contact.ts'
import { openGrapevine, type Grapevine } from './grapevine.ts'

/** What the entry for every platform can be told beside. */
export interface FetchOptions extends ConnectOptions {
  /** Instead of the platform's. */
  readonly fetch?: typeof fetch | undefined
}

/**
 * Makes a client of the cluster that these nodes belong to. One is enough, more are better: the others are learnt
 * from whoever answers first. Nothing is sent yet, so this succeeds also while no node is up.
 * @throws {GrapevineError} `bad_argument` for what is no URL of a node.
 */
export async function connect(endpoints: string | readonly string[], options: FetchOptions = {}): Promise<Grapevine> {
  // Called as a method of some object, the browser's own fetch would refuse.
  const platformFetch = options.fetch ?? globalThis.fetch
  const contact = fetchContact((input, init) => platformFetch(input, init))
  return openGrapevine(endpoints, options, { contact, batchFormat: jsonBatchFormat })
}
