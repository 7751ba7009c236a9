// What the page of the test is made of: the client library as a site would bundle it, at the test's command.
import { connect, type Change, type Grapevine } from '@grapevine/client'
import { openOutbox, type Outbox } from '@grapevine/client/outbox'

/** What the test calls in the page. Everything is JSON. */
export interface PageCommands {
  open(endpoints: readonly string[]): Promise<void>
  put(key: string, value: unknown): Promise<string>
  get(key: string): Promise<unknown>
  /** Begins to watch. Resolves when nothing can be missed any more. */
  watch(): Promise<void>
  /** Keys that changed since. */
  changes(): readonly string[]
  note(key: string, value: unknown): Promise<void>
  pending(): number
  /** Resolves when all that was noted is in the cluster. */
  flush(): Promise<void>
}

let grapevine: Grapevine
let outbox: Outbox
const seen: Change[] = []

const commands: PageCommands = {
  async open(endpoints) {
    grapevine = await connect(endpoints)
    outbox = await openOutbox(grapevine, { location: 'notes' })
  },
  put: async (key, value) => (await grapevine.bucket('page').put(key, value)).etag,
  get: async (key) => grapevine.bucket('page').get(key),
  async watch() {
    const watch = grapevine.bucket('page').watch({ initial: true })
    await watch.next()
    void (async () => {
      for await (const change of watch) seen.push(change)
    })()
  },
  changes: () => seen.flatMap((change) => (change.type === 'put' ? [String(change.key)] : [])),
  note: async (key, value) => outbox.bucket('page').put(key, value),
  pending: () => outbox.status().pending,
  flush: async () => outbox.flush(),
}

Object.assign(globalThis, { commands })
