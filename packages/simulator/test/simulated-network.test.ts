import { RefusalError, UnreachableError, type Answer, type Log, type Question, type Transport } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { EventQueue } from '../src/event-queue.ts'
import { SeededRandom } from '../src/seeded-random.ts'
import { sha256 } from '../src/sha256.ts'
import { SimulatedNetwork, type Host, type LinkQuality } from '../src/simulated-network.ts'
import { SimulatedProcess } from '../src/simulated-process.ts'
import { Trace } from '../src/trace.ts'

const CLUSTER = 'c'.repeat(32)
const ASKER = 'a'.repeat(16)
const ASKED = 'b'.repeat(16)
const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} }
const PEER = { replica: ASKED, address: 'n2:7701' }
const TIMEOUT_MS = 1_000

/** n1 asks, n2 answers, and counts. */
class Pair {
  readonly queue = new EventQueue(new SeededRandom('order'))
  readonly asker = new SimulatedProcess(this.queue, 1)
  readonly asked = new SimulatedProcess(this.queue, 2)
  readonly network: SimulatedNetwork
  readonly transport: Transport
  readonly heard: { from: string; atMs: number }[] = []
  host: Host | undefined
  answeredBy = { cluster: CLUSTER, replica: ASKED }
  refuses = false

  constructor(quality: Partial<LinkQuality> = {}) {
    this.host = {
      name: 'n2',
      process: this.asked,
      answering: {
        identity: () => this.answeredBy,
        log: SILENT,
        judge: () => (this.refuses ? 'evicted' : undefined),
        answer: async (header, name) => {
          this.heard.push({ from: header.from, atMs: this.queue.nowMs })
          await this.asked.pass(1)
          if (name !== 'rumor-notice') throw new Error('nothing else is asked here')
          return { takesRumors: true } as Answer<typeof name>
        },
      },
    }
    this.network = new SimulatedNetwork({
      queue: this.queue,
      random: new SeededRandom('network'),
      hash: sha256,
      trace: new Trace(),
      hostAt: () => this.host,
      nameAt: (address) => (address === PEER.address ? 'n2' : undefined),
      onFault: () => {},
      onAccepted: () => {},
    })
    this.network.quality = quality
    this.transport = this.network.transportOf('n1', this.asker, () => ({ cluster: CLUSTER, replica: ASKER }))
  }

  /** What became of one question, within two time-outs. */
  async ask(address = PEER.address): Promise<Answer<'rumor-notice'> | Error | undefined> {
    let outcome: Answer<'rumor-notice'> | Error | undefined
    const question: Question<'rumor-notice'> = { takesRumors: true }
    this.transport.ask({ ...PEER, address }, 'rumor-notice', question, TIMEOUT_MS).then(
      (answer) => void (outcome = answer),
      (error: Error) => void (outcome = error),
    )
    await this.queue.run(this.queue.nowMs + 2 * TIMEOUT_MS, () => outcome !== undefined)
    return outcome
  }
}

describe('a simulated link', () => {
  it('carries a question and its answer, both of which take time', async () => {
    const pair = new Pair({ latencyMs: 5 })
    expect(await pair.ask()).toEqual({ takesRumors: true })
    expect(pair.heard).toHaveLength(1)
    expect(pair.heard[0]?.atMs).toBeGreaterThan(1)
    expect(pair.queue.nowMs).toBeGreaterThan((pair.heard[0]?.atMs ?? 0) + 2)
  })

  it.each([
    ['loses a question', { loss: 1 }, 0],
    ['loses an answer to what was heard', { lostResponses: 1 }, 1],
  ])('%s: the asker gives up in time', async (_, quality, heard) => {
    const pair = new Pair(quality)
    expect(await pair.ask()).toMatchObject({ name: 'UnreachableError', code: 'timeout' })
    expect(pair.queue.nowMs).toBe(TIMEOUT_MS)
    expect(pair.heard).toHaveLength(heard)
  })

  it('brings a damaged question, which nobody answers, and the asker learns that at once', async () => {
    const pair = new Pair()
    pair.network.damageNext({ from: 'n1', to: '*', name: 'rumor-notice' })
    expect(await pair.ask()).toMatchObject({ code: 'broken', message: expect.stringContaining('status 400') })
    expect(pair.heard).toEqual([])
    expect(await pair.ask()).toEqual({ takesRumors: true })
  })

  it('brings a damaged answer, which is not believed', async () => {
    const pair = new Pair()
    pair.network.damageNext({ from: 'n2', to: 'n1', name: '*' })
    expect(await pair.ask()).toMatchObject({ code: 'broken', message: expect.stringContaining('nonsense') })
    expect(pair.heard).toHaveLength(1)
  })

  it('brings a question twice, which is answered twice and believed once', async () => {
    const pair = new Pair({ duplicates: 1 })
    expect(await pair.ask()).toEqual({ takesRumors: true })
    await pair.queue.run(pair.queue.nowMs + 1_000)
    expect(pair.heard).toHaveLength(2)
  })

  it('brings old questions again, months later, to whoever is there then', async () => {
    const pair = new Pair()
    await pair.ask()
    const monthsMs = 90 * 86_400_000
    await pair.queue.run(monthsMs)
    pair.network.replayArchived(1, monthsMs)
    await pair.queue.run(monthsMs + 2_000)
    expect(pair.heard.map(({ from }) => from)).toEqual([ASKER, ASKER])
  })

  it('takes as long as its bandwidth says, one frame after the other', async () => {
    const pair = new Pair({ bytesPerSecond: 1_000 })
    await pair.ask()
    const { bytes } = pair.network
    expect(pair.queue.nowMs).toBeGreaterThan(bytes)
  })

  it('is cut in one direction: what was heard is not answered', async () => {
    const pair = new Pair()
    const mend = pair.network.cut('n2', 'n1')
    expect(await pair.ask()).toMatchObject({ code: 'timeout' })
    expect(pair.heard).toHaveLength(1)
    mend()
    expect(await pair.ask()).toEqual({ takesRumors: true })
  })

  it('leads nowhere, or to nobody', async () => {
    const pair = new Pair()
    expect(await pair.ask('elsewhere:7701')).toMatchObject({ code: 'refused' })
    pair.host = undefined
    expect(await pair.ask()).toMatchObject({ code: 'refused' })
  })

  it('leads to somebody else, who is found out', async () => {
    const pair = new Pair()
    pair.answeredBy = { cluster: CLUSTER, replica: 'd'.repeat(16) }
    expect(await pair.ask()).toBeInstanceOf(UnreachableError)
    expect(await pair.ask()).toMatchObject({ message: expect.stringContaining('another node lives') })
  })

  it('carries a refusal', async () => {
    const pair = new Pair()
    pair.refuses = true
    const outcome = await pair.ask()
    expect(outcome).toBeInstanceOf(RefusalError)
    expect(outcome).toMatchObject({ code: 'evicted' })
    expect(pair.heard).toEqual([])
  })

  it('finds a frozen process later and a dead one never', async () => {
    const pair = new Pair()
    pair.asked.freeze()
    expect(await pair.ask()).toMatchObject({ code: 'timeout' })
    expect(pair.heard).toEqual([])
    pair.asked.thaw()
    await pair.queue.run(pair.queue.nowMs + 10)
    expect(pair.heard).toHaveLength(1)
    pair.asker.kill()
    expect(await pair.ask()).toBeUndefined()
  })
})
