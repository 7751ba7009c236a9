import type { ConnectOptions } from './connection.ts'
import { openGrapevine, type Grapevine } from './grapevine.ts'
import { msgpackBatchFormat } from './msgpack-batch-format.ts'
import { UndiciContact } from './undici-contact.ts'

export * from './index.ts'

export interface NodeOptions extends ConnectOptions {
  /** Connections to each node. Default 16. */
  readonly connections?: number | undefined
}

/**
 * As `connect` of the entry for every platform, on connections of its own that stay open, with batches in msgpack: for
 * programs on Node that do much. Close it when you are done.
 */
export async function connect(endpoints: string | readonly string[], options: NodeOptions = {}): Promise<Grapevine> {
  const undici = new UndiciContact(options.connections)
  return openGrapevine(endpoints, options, {
    contact: undici.contact,
    batchFormat: msgpackBatchFormat,
    close: () => undici.close(),
  })
}
