import {
  addressOf,
  bytesOf,
  etagOf,
  isVisible,
  partitionOf,
  StoreError,
  WriteError,
  type Address,
  type Precondition,
  type SessionToken,
  type Sighting,
  type WriteConcern,
} from '@grapevine/core'
import type { Replica, WriteResult } from '@grapevine/replica'
import { ClientSessions } from './client-sessions.ts'
import type { Machine } from './machine.ts'
import type { PlannedOperation, WorkloadPlan } from './plan.ts'
import type { SeededRandom } from './seeded-random.ts'
import { sha256 } from './sha256.ts'
import { textOf } from './observer.ts'
import { BUCKET, type World } from './world.ts'

/** From a client to a node, and back. */
const CLIENT_LATENCY_MS = 0.5
/** A client waits a little longer than the node it asked is given. */
const PATIENCE_MS = 1_000

interface Operation {
  readonly client: string
  readonly machine: Machine
  readonly action: 'put' | 'delete' | 'get'
  readonly key: string
  readonly w: WriteConcern
  readonly ttlMs?: number
  readonly precondition?: Precondition
  /** As the history says it. */
  readonly ifMatch?: string | null
  /** Whether the client carries a session. */
  readonly session?: boolean
}

/** What clients do to the nodes meanwhile. */
export class Workload {
  readonly #world: World
  readonly #plan: WorkloadPlan
  readonly #random: SeededRandom
  readonly #lastSeen = new Map<string, string | null>()
  readonly #sessions = new ClientSessions()
  #operations = 0
  #over = false
  applied = 0
  failed = 0
  reads = 0

  constructor(world: World, plan: WorkloadPlan, random: SeededRandom) {
    this.#world = world
    this.#plan = plan
    this.#random = random
  }

  start(): void {
    for (let number = 1; number <= this.#plan.clients; number++) {
      const client = `c${number}`
      const random = this.#random.stream(client)
      const session = number <= this.#plan.sessionShare * this.#plan.clients
      const next = (): void => {
        this.#world.queue.after(random.next() * 2 * this.#plan.thinkMs, () =>
          this.#world.whenAwake(() => {
            if (!this.#over) this.#run({ ...this.#draw(client, random), session }, random, next)
          }),
        )
      }
      next()
    }
    for (const planned of this.#plan.operations)
      this.#world.queue.at(planned.atMs, () => {
        const operation = this.#planned(planned)
        if (operation !== undefined) this.#run(operation, this.#random.stream('planned', planned.atMs), () => {})
      })
  }

  /** No more operations begin. */
  stop(): void {
    this.#over = true
  }

  #draw(client: string, random: SeededRandom): Operation {
    const { machines } = this.#world
    const { keys, hotKeys, hotShare, readShare, deleteShare, quorumShare, allShare, preconditionShare } = this.#plan
    const machine = random.pick(machines)
    const key = random.chance(hotShare) ? `hot-${random.index(hotKeys)}` : `key-${random.index(keys)}`
    if (random.chance(readShare)) return { client, machine, action: 'get', key, w: 1 }
    const action = random.chance(deleteShare) ? 'delete' : 'put'
    const lot = random.next()
    const w = lot < quorumShare ? 'quorum' : lot < quorumShare + allShare ? 'all' : 1
    const operation = { client, machine, action, key, w, ...this.#drawTtl(action, random) } as const
    const seen = this.#lastSeen.get(`${client} ${key}`)
    if (seen === undefined || !random.chance(preconditionShare)) return operation
    const precondition: Precondition = seen === null ? { kind: 'absent' } : { kind: 'one-of', etags: [seen] }
    return { ...operation, precondition, ifMatch: seen }
  }

  #drawTtl(action: 'put' | 'delete', random: SeededRandom): { ttlMs?: number } {
    const { ttlShare, ttlMsMax } = this.#plan
    if (action === 'delete' || ttlShare === 0 || !random.chance(ttlShare)) return {}
    return { ttlMs: 1 + random.index(ttlMsMax) }
  }

  #planned({ node, action, key, w = 1, only, ttlMs }: PlannedOperation): Operation | undefined {
    const [machine] = this.#world.named(node)
    if (machine === undefined) return undefined
    const operation = {
      client: `planned-${this.#operations + 1}`,
      machine,
      action,
      key,
      w,
      ...(ttlMs !== undefined && { ttlMs }),
    }
    if (only === undefined) return operation
    return { ...operation, precondition: { kind: only }, ...(only === 'absent' && { ifMatch: null }) }
  }

  #run(operation: Operation, random: SeededRandom, done: () => void): void {
    const { recorder, queue } = this.#world
    const op = ++this.#operations
    const { machine, action, key, w, ttlMs, ifMatch, session = false } = operation
    // Nothing is promised any more to a session of which something was lost: what its client does next is another one's.
    const client = session ? this.#sessions.nameOf(operation.client) : operation.client
    const value = action === 'put' ? this.#valueOf(op, random) : undefined
    recorder.write({
      type: 'invoke',
      atMs: queue.nowMs,
      op,
      client,
      node: machine.name,
      action,
      key,
      ...(value !== undefined && { value }),
      ...(action !== 'get' && { w }),
      ...(ttlMs !== undefined && { ttlMs }),
      ...(ifMatch !== undefined && { ifMatch }),
      ...(session && { session }),
    })
    let ended = false
    const end = (tell: () => void): void => {
      if (ended) return
      ended = true
      patience.cancel()
      tell()
      done()
    }
    const patience = queue.after(this.#plan.timeoutMs + PATIENCE_MS, () =>
      end(() => this.#ended(op, action, 'unknown', 'connection-lost')),
    )
    const { running } = machine
    const refused = (): void => end(() => this.#ended(op, action, 'not-applied', 'connection-refused'))
    if (running?.replica === undefined) {
      queue.after(CLIENT_LATENCY_MS, refused)
      return
    }
    // The answer comes back whatever becomes of the node meanwhile; the question needs it to be there.
    const answer = (tell: () => void): void => void queue.after(CLIENT_LATENCY_MS, () => end(tell))
    queue.after(CLIENT_LATENCY_MS, () => {
      if (machine.running !== running) refused()
      else running.process.enter(() => void this.#ask(op, operation, value, answer))
    })
  }

  async #ask(
    op: number,
    { client, machine, action, key, w, ttlMs, precondition, session = false }: Operation,
    value: string | undefined,
    answer: (tell: () => void) => void,
  ): Promise<void> {
    const replica = machine.running?.replica
    if (replica === undefined) return
    const address = addressOf(BUCKET, key)
    const remember = (version: string | null): void => void this.#lastSeen.set(`${client} ${key}`, version)
    const { recorder, queue } = this.#world
    // A server hands the requests on that come to a node which is still joining.
    if (session && replica.identity.stage !== 'member')
      return answer(() => this.#ended(op, action, 'not-applied', 'not-ready'))
    const token = session ? this.#sessions.tokenOf(client, replica.seen) : undefined
    if (token !== undefined && (action === 'get' || precondition !== undefined)) {
      const standing = await replica.untilSeen(token, this.#partitionOf(address), this.#plan.timeoutMs)
      if (standing === 'gap') this.#sessions.beginAnew(client, replica.seen)
      if (standing !== 'seen')
        return answer(() => this.#ended(op, action, 'not-applied', standing === 'gap' ? 'gap' : 'behind'))
    }
    if (action === 'get') {
      try {
        const read = replica.read(address)
        // As the server does it: what cannot be read here is fetched from whoever has it.
        const held = read === 'corrupt' ? await replica.heal(address) : read
        if (held === 'corrupt') return answer(() => this.#ended(op, action, 'not-applied', 'corrupt'))
        const version = held && etagOf(held.version)
        const shown = held !== undefined && isVisible(held, machine.clock.wallMs()) ? textOf(held) : null
        const tell = this.#telling(client, token, held, replica)
        answer(() => {
          this.reads++
          tell()
          remember(shown === null ? null : (version ?? null))
          recorder.write({
            type: 'read',
            atMs: queue.nowMs,
            op,
            outcome: 'ok',
            value: shown,
            ...(version !== undefined && { version }),
          })
        })
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        answer(() => this.#ended(op, action, 'not-applied', error.code))
      }
      return
    }
    try {
      const result: WriteResult = await replica.write({
        address,
        value: value === undefined ? undefined : Buffer.from(value, 'latin1'),
        contentType: 'text/plain',
        expiresAtMs: ttlMs === undefined ? 0 : machine.clock.wallMs() + ttlMs,
        w,
        timeoutMs: this.#plan.timeoutMs,
        ...(precondition !== undefined && { precondition }),
        ...(token !== undefined && { after: token.hlc }),
      })
      const tell = this.#telling(client, token, result.kind === 'applied' ? result.seen : result.held, replica)
      if (result.kind === 'precondition-failed')
        return answer(() => {
          tell()
          this.#ended(op, action, 'not-applied', 'precondition-failed')
        })
      const version = etagOf(result.version)
      answer(() => {
        this.applied++
        tell()
        remember(action === 'delete' ? null : version)
        recorder.write({
          type: 'written',
          atMs: queue.nowMs,
          op,
          outcome: 'applied',
          version,
          acks: result.acks,
          members: result.members,
        })
      })
    } catch (error) {
      if (!(error instanceof WriteError)) throw error
      answer(() => this.#ended(op, action, error.outcome, error.code))
    }
  }

  /** The token is of the moment in which the node answers, and the client's when that comes in. */
  #telling(client: string, token: SessionToken | undefined, seen: Sighting | undefined, replica: Replica): () => void {
    if (token === undefined) return () => {}
    const text = this.#sessions.textAfter(token, seen, replica.seen)
    const { cluster } = replica.seen
    return () => this.#sessions.learn(client, cluster, text)
  }

  #partitionOf(address: Address): number {
    return partitionOf(sha256.sha256(bytesOf(address)))
  }

  #ended(op: number, action: Operation['action'], outcome: 'not-applied' | 'unknown', code: string): void {
    const atMs = this.#world.nowMs
    this.failed++
    if (action === 'get') this.#world.recorder.write({ type: 'read', atMs, op, outcome: 'failed', code })
    else this.#world.recorder.write({ type: 'written', atMs, op, outcome, code })
  }

  #valueOf(op: number, random: SeededRandom): string {
    return `v${op}:${'.'.repeat(random.index(this.#plan.valueBytesMax))}`
  }
}
