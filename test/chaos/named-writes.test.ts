import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

const WRITERS = 16
/** Enough for groups to be under way when the node is killed. */
const WRITES = 400
const ROUNDS = Number(process.env['ROUNDS'] ?? 2)

let cluster: ProcessCluster

beforeAll(async () => {
  cluster = await ProcessCluster.start(1)
})
afterAll(() => cluster.close())

/**
 * Creates a key under a name. A write that was applied and whose receipt is lost would be refused when it is repeated, since
 * then the key is there.
 */
async function create(key: string): Promise<{ status: number; etag: string | null } | undefined> {
  try {
    const { status, headers } = await fetch(cluster.url('n1', `/v1/kv/things/${key}`), {
      method: 'PUT',
      headers: { 'idempotency-key': `name-of-${key}`, 'if-none-match': '*' },
      body: key,
      signal: AbortSignal.timeout(20_000),
    })
    return { status, etag: headers.get('etag') }
  } catch {
    return undefined
  }
}

it('answers repetitions with the first receipt after kill -9, whether or not the first answer came', async () => {
  let unknown = 0
  for (let round = 0; round < ROUNDS; round++) {
    const told = new Map<string, string | null | undefined>()
    let running = true
    const write = async (writer: number): Promise<void> => {
      for (let turn = 0; running; turn++) {
        const key = `${round}-${writer}-${turn}`
        const answer = await create(key)
        if (answer !== undefined) expect(answer.status).toBe(204)
        told.set(key, answer?.etag)
        // The node is gone: what was sent before that is what is in doubt.
        if (answer === undefined) return
      }
    }
    const storm = Array.from({ length: WRITERS }, (_, writer) => write(writer))
    await eventually('the storm is under way', () => told.size >= WRITES, 30_000, 1)
    await cluster.end('n1', 'SIGKILL')
    running = false
    await Promise.all(storm)
    await cluster.restart('n1')
    const repeat = async ([key, etag]: [string, string | null | undefined]): Promise<void> => {
      const again = await create(key)
      expect([key, again?.status]).toEqual([key, 204])
      if (etag === undefined) unknown++
      else expect([key, again?.etag]).toEqual([key, etag])
      expect([key, await create(key)]).toEqual([key, again])
    }
    const left = [...told]
    const work = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) await repeat(next)
    }
    await Promise.all(Array.from({ length: WRITERS }, work))
  }
  expect(unknown).toBeGreaterThan(0)
})
