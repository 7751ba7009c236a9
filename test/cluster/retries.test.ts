import { afterEach, beforeEach, expect, it } from 'vitest'
import { connect, GrapevineError, type Grapevine } from '../../packages/client/src/index.ts'
import type { BatchBody, BatchRequest } from '../../packages/contract/src/index.ts'
import { eventually } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'
import { ResponseThief, type Exchange } from '../support/response-thief.ts'

const NODES = ['n1', 'n2', 'n3']
const WRITES = 1_200
const LOST = 0.1

let cluster: ProcessCluster
let thieves: ResponseThief[]

beforeEach(async () => {
  cluster = await ProcessCluster.start(NODES.length)
  const random = seeded(5)
  thieves = []
  for (const name of NODES) thieves.push(await ResponseThief.before(cluster.url(name), () => random() < LOST))
})
afterEach(async () => {
  for (const thief of thieves) await thief.close()
  await cluster.close()
})

/** Writes through all nodes, one by one and many in a tick, creating, replacing and deleting. */
async function writeAll(clients: readonly Grapevine[]): Promise<Fate[]> {
  const fates: Fate[] = []
  async function work(worker: number): Promise<void> {
    for (let turn = 0; fates.length < WRITES; turn++) {
      const bucket = clients[worker % clients.length]!.bucket('things', { codec: 'text' })
      // Some alone, which go as PUT and DELETE; some together, which go as a batch.
      const keys = Array.from({ length: turn % 3 === 0 ? 5 : 1 }, (_, index) => `${worker}-${turn}-${index}`)
      const writes = keys.map(async (key): Promise<Fate> => {
        const isDelete = turn % 5 === 4
        try {
          // A condition that the write itself makes fail: repeated without a receipt, it would be refused.
          const { etag } = isDelete ? await bucket.delete(key) : await bucket.put(key, key, { ifAbsent: true })
          return { key, isDelete, etag }
        } catch (error) {
          if (error instanceof GrapevineError) return { key, isDelete, error }
          throw error
        }
      })
      fates.push(...(await Promise.all(writes)))
    }
  }
  await Promise.all(Array.from({ length: 9 }, (_, worker) => work(worker)))
  return fates
}

it('applies each named write once on the node that took it, and tells so, when one answer in ten is lost', async () => {
  const clients = await clientsOf({ writeIds: true })
  const fates = await writeAll(clients)
  for (const client of clients) await client.close()
  await cluster.untilConverged('n1')

  let repeated = 0
  for (const [index, { exchanges }] of thieves.entries()) {
    // What the node said of each name, whether or not that arrived: one version each, so it was applied once.
    const etags = new Map<string, string[]>()
    for (const exchange of exchanges)
      for (const { id, etag } of namedWrites(exchange)) etags.set(id, [...(etags.get(id) ?? []), etag])
    expect([...etags].filter(([, told]) => new Set(told).size > 1)).toEqual([])
    repeated += [...etags.values()].filter((told) => told.length > 1).length
    const { nodeId } = (await cluster.members('n1')).find(({ name }) => name === NODES[index])!
    // The others were answered with the receipt of another node, whose write had come here.
    const own = new Set([...etags.values()].flat().filter((etag) => etag.endsWith(nodeId)))
    expect(await cluster.metric(NODES[index]!, 'grapevine_rumor_updates_total')).toBe(own.size)
  }
  expect(thieves.flatMap(({ exchanges }) => exchanges).filter(({ stolen }) => stolen).length).toBeGreaterThan(10)
  expect(repeated).toBeGreaterThan(10)
  // With a name and three nodes hardly any write is given up.
  expect(fates.filter(({ error }) => error !== undefined).length).toBeLessThan(WRITES / 100)
  await checkOutcomes(fates)
})

it('says what is certain and what is not, when writes go without names and a node is gone', async () => {
  const clients = await clientsOf({ writeIds: false })
  await cluster.end('n3', 'SIGKILL')
  const fates = await writeAll(clients)
  // Of a member that is gone nothing can be asked for, once the node that takes the write knows: it may be either.
  for (const name of ['n1', 'n2'])
    await eventually(`${name} knows that n3 is gone`, async () => {
      const seen = await cluster.members(name)
      return seen.some((member) => member.name === 'n3' && member.state === 'dead')
    })
  // Past the thieves, of whom that of n3 takes a request and breaks off: then it would be in doubt, whatever n1 had said.
  const direct = await connect(cluster.url('n1'), { discover: false, session: false, writeIds: false })
  const refused = direct.bucket('things', { codec: 'text' }).put('all', 'all', { w: 'all' })
  const refusal = await refused.then(
    () => undefined,
    (reason: GrapevineError) => reason,
  )
  expect(refusal).toMatchObject({ code: 'quorum_not_met', outcome: 'not-applied' })
  fates.push({ key: 'all', isDelete: false, error: refusal! })
  for (const client of [...clients, direct]) await client.close()
  const outcomes = Map.groupBy(fates, ({ error }) => error?.outcome ?? 'applied')
  for (const outcome of ['applied', 'unknown', 'not-applied']) expect([...outcomes.keys()]).toContain(outcome)
  await cluster.restart('n3')
  await cluster.untilConverged('n1')
  await checkOutcomes(fates)
})

interface Fate {
  readonly key: string
  readonly isDelete: boolean
  readonly etag?: string
  readonly error?: GrapevineError
}

/** Against the stores: applied is there, not applied is not, and nobody says less than there is to say. */
async function checkOutcomes(fates: readonly Fate[]): Promise<void> {
  const said = new Map(thieves.flatMap(({ exchanges }) => exchanges.flatMap(applied)).map(([etag, key]) => [etag, key]))
  for (const { key, isDelete, etag, error } of fates) {
    const response = await fetch(cluster.url('n1', `/v1/kv/things/${key}`))
    const held = response.headers.get('etag')?.slice(1, -1)
    if (error === undefined) {
      expect(said.get(etag ?? '')).toBe(key)
      // A tombstone may be gone for good by now; a value may not.
      expect({ key, isThere: held === undefined ? isDelete : held >= (etag ?? '') }).toEqual({ key, isThere: true })
    } else {
      expect(['unknown', 'not-applied']).toContain(error.outcome)
      if (error.outcome === 'not-applied') expect({ key, held }).toEqual({ key, held: undefined })
    }
  }
}

function clientsOf(options: { writeIds: boolean }): Promise<Grapevine[]> {
  // Each begins at another node.
  return Promise.all(
    thieves.map((_, first) =>
      connect(
        [...thieves.slice(first), ...thieves.slice(0, first)].map(({ url }) => url),
        {
          discover: false,
          session: false,
          ...options,
        },
      ),
    ),
  )
}

interface Named {
  readonly id: string
  readonly etag: string
}

/** The names in a request that were answered with a version. */
function namedWrites(exchange: Exchange): Named[] {
  const { headers, answerHeaders, status } = exchange
  if (exchange.path === '/v1/batch') {
    const { ops, results } = batchIn(exchange)
    return ops.flatMap((op, index) => {
      const etag = results[index]?.status === 204 ? results[index].etag : undefined
      return op.op !== 'get' && op.id !== undefined && etag !== undefined ? [{ id: op.id, etag }] : []
    })
  }
  const id = headers['idempotency-key']
  return status === 204 && typeof id === 'string' ? [{ id, etag: (answerHeaders.etag ?? '').slice(1, -1) }] : []
}

/** Versions that a node said it had written, and their keys. */
function applied(exchange: Exchange): (readonly [string, string])[] {
  if (exchange.path === '/v1/batch') {
    const { ops, results } = batchIn(exchange)
    return ops.flatMap(({ key }, index) => {
      const etag = results[index]?.status === 204 ? results[index].etag : undefined
      return etag === undefined ? [] : [[etag, key] as const]
    })
  }
  const key = decodeURIComponent(exchange.path.split('?')[0]!.slice('/v1/kv/things/'.length))
  return exchange.status === 204 ? [[(exchange.answerHeaders.etag ?? '').slice(1, -1), key]] : []
}

function batchIn({ body, answer, status }: Exchange): BatchRequest & BatchBody {
  const request = JSON.parse(body.toString()) as BatchRequest
  const { results } = status === 200 ? (JSON.parse(answer.toString()) as BatchBody) : { results: [] }
  return { ...request, results }
}

/** Mulberry32. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
