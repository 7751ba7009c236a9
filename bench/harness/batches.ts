import { setTimeout as sleep } from 'node:timers/promises'
import { OTHER_MEDIA_TYPES, type BatchRequest } from '@grapevine/contract'
import { Packr } from 'msgpackr'
import { ProbeConnection } from './probe-connection.ts'
import { httpWithBody } from './requests.ts'

export type Op = BatchRequest<Uint8Array>['ops'][number]

const BATCH_OPS = 250
const CONNECTIONS_PER_NODE = 2
/** After a refusal: a node that is overloaded asks for a moment. */
const PAUSE_MS = 50
const REFUSALS_MAX = 1_000
/** Rates are measured elsewhere: here nothing has to be quick. */
const TIMEOUT = '60s'

const packr = new Packr({ useRecords: false })

/**
 * Sends every operation, by batches and spread over the nodes, until each was applied: what was refused is sent again.
 * Slower than the load generator, which does not look into its answers; here it is what comes of the operations that counts.
 */
export async function applyAll(ports: readonly number[], ops: Iterator<Op, unknown>): Promise<void> {
  let refusals = 0
  const next = (): Op[] => {
    const batch: Op[] = []
    while (batch.length < BATCH_OPS) {
      const { value, done } = ops.next()
      if (done === true) break
      batch.push(value)
    }
    return batch
  }
  const send = async (port: number): Promise<void> => {
    using connection = await ProbeConnection.open(port)
    for (let batch = next(); batch.length > 0; batch = next())
      for (let left = batch; left.length > 0;) {
        left = await applied(connection, left)
        if (left.length === 0) continue
        refusals++
        if (refusals > REFUSALS_MAX) throw new Error('the nodes refuse too much')
        await sleep(PAUSE_MS)
      }
  }
  const connections = ports.flatMap((port) => Array.from({ length: CONNECTIONS_PER_NODE }, () => port))
  await Promise.all(connections.map(send))
}

/** Sends one batch. Returns what has to be sent again. */
async function applied(connection: ProbeConnection, ops: readonly Op[]): Promise<Op[]> {
  const body = packr.pack({ ops, timeout: TIMEOUT } satisfies BatchRequest<Uint8Array>)
  const {
    status,
    head,
    body: answer,
  } = await connection.ask(
    httpWithBody('POST', '/v1/batch', OTHER_MEDIA_TYPES.msgpack, body, OTHER_MEDIA_TYPES.msgpack),
  )
  if (status === 429 || status === 503 || status === 504) return [...ops]
  if (status !== 200) throw new Error(`${head.split('\r\n', 1)[0]}: ${answer.toString()}`)
  const { results } = packr.unpack(answer) as { results: readonly { readonly status: number }[] }
  return ops.filter((_, index) => {
    const each = results[index]?.status
    if (each === 204) return false
    // What became of it is not known after a 504; doing it twice does no harm.
    if (each === 429 || each === 503 || each === 504) return true
    throw new Error(`an operation of a batch was answered with ${each}`)
  })
}
