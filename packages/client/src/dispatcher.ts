import { BATCH_BYTES_MAX, BATCH_OPS_MAX, type Consistency, type WriteConcern } from '@grapevine/contract'
import { bytesOfOperation, ENVELOPE_BYTES, errorFor, sendOperations } from './send-operations.ts'
import type { CallOptions, Connection } from './connection.ts'
import { GrapevineError, withOutcome } from './grapevine-error.ts'
import { resultOfAnswer, singleRequest, type Manner, type Operation, type OperationResult } from './operation.ts'
import type { SessionTokens } from './session-tokens.ts'
import { afterThisTick } from './tick.ts'

/** A value larger than this gains nothing from company, and in JSON loses a third of itself. */
const COMPANY_BYTES_MAX = 64 * 1024
/**
 * Requests of one lane under way at once. Enough to keep a node busy while answers travel; few enough that what comes
 * meanwhile fills the next batch, and that a session holds a handful of tokens (contract, `session.ts`).
 */
const IN_FLIGHT_MAX = 8
/** Reads that ask for a certain consistency cannot share a request, and each waits for other nodes. */
const LONE_READS_MAX = 32
/** A node that could not do one operation of a batch for the moment is asked this often in all. */
const ATTEMPTS_MAX = 4
const AGAIN_MS_MIN = 50

export interface SubmitOptions extends CallOptions {
  readonly w?: WriteConcern | undefined
  readonly consistency?: Consistency | undefined
}

/** One operation on its way. */
interface Call {
  readonly operation: Operation
  readonly bytes: number
  readonly deadlineMs: number
  readonly resolve: (result: OperationResult | undefined) => void
  readonly reject: (error: unknown) => void
  attempts: number
  settled: boolean
  /** The request that carries it now. */
  carrier: Carrier | undefined
}

interface Carrier {
  waiting: number
  readonly controller: AbortController
}

/** Operations that may share a request. */
interface Lane extends Manner {
  readonly name: string
  readonly timeoutMs: number
  queue: Call[]
  inFlight: number
  scheduled: boolean
}

/**
 * Where the operations of one session meet: what is asked in the same turn of the event loop goes out in one batch,
 * and what is asked alone as a request of its own. Operations of different manner (`w`, `consistency`, time-out) do not share.
 */
export class Dispatcher {
  readonly #connection: Connection
  readonly #session: SessionTokens | undefined
  readonly #lanes = new Map<string, Lane>()
  readonly #plain: Lane
  readonly #asFits: boolean

  /** `together`: always as batches, and each operation that fails is the caller's to try again. */
  constructor(connection: Connection, session: SessionTokens | undefined, how: 'as-fits' | 'together' = 'as-fits') {
    this.#connection = connection
    this.#session = session
    this.#asFits = how === 'as-fits'
    this.#plain = newLane('', {}, connection.timeoutMs)
  }

  /**
   * `undefined` for a missing key.
   * @throws {GrapevineError} as a rejection, always.
   */
  submit(operation: Operation, options: SubmitOptions): Promise<OperationResult | undefined> {
    return new Promise((resolve, reject) => {
      const lane = this.#laneOf(options)
      const call: Call = {
        operation,
        bytes: bytesOfOperation(operation),
        deadlineMs: Date.now() + lane.timeoutMs,
        resolve,
        reject,
        attempts: 0,
        settled: false,
        carrier: undefined,
      }
      const waiting = options.signal === undefined ? call : abortable(call, options.signal)
      if (waiting.settled) return
      lane.queue.push(waiting)
      this.#schedule(lane)
    })
  }

  #laneOf({ w, consistency, timeoutMs }: SubmitOptions): Lane {
    if (w === undefined && consistency === undefined && timeoutMs === undefined) return this.#plain
    const name = `${w} ${consistency} ${timeoutMs}`
    const lane = this.#lanes.get(name) ?? newLane(name, { w, consistency }, timeoutMs ?? this.#connection.timeoutMs)
    this.#lanes.set(name, lane)
    return lane
  }

  #schedule(lane: Lane): void {
    if (lane.scheduled || lane.inFlight >= inFlightMax(lane)) return
    lane.scheduled = true
    afterThisTick(() => {
      lane.scheduled = false
      this.#flush(lane)
    })
  }

  #flush(lane: Lane): void {
    while (lane.inFlight < inFlightMax(lane)) {
      const calls = takeBatch(lane, this.#asFits ? COMPANY_BYTES_MAX : Infinity)
      if (calls.length === 0) break
      lane.inFlight += 1
      void this.#carry(calls, lane).then(() => {
        lane.inFlight -= 1
        if (lane.queue.length > 0) this.#schedule(lane)
        // A lane that nobody uses is forgotten, whatever time-outs a program may think of.
        else if (lane.inFlight === 0 && !lane.scheduled) this.#lanes.delete(lane.name)
      })
    }
  }

  /** Sends one request and settles all that it carries. Never throws. */
  async #carry(calls: readonly Call[], lane: Lane): Promise<void> {
    const controller = new AbortController()
    const carrier: Carrier = { waiting: calls.length, controller }
    for (const call of calls) {
      call.carrier = carrier
      call.attempts += 1
    }
    // They stand in the order in which they came, so the first has the least time left.
    const timeoutMs = Math.max(1, Math.min(...calls.map((call) => call.deadlineMs)) - Date.now())
    const options = { timeoutMs, signal: controller.signal }
    try {
      const [only] = calls
      if (only !== undefined && calls.length === 1 && this.#asFits) {
        const { path, init } = singleRequest(only.operation, lane, timeoutMs)
        const answer = await this.#connection.request(path, { ...init, ...options, session: this.#session })
        settle(only, resultOfAnswer(answer))
        return
      }
      const ops = calls.map((call) => call.operation)
      const results = await sendOperations(ops, { w: lane.w, ...options }, this.#connection, this.#session)
      const hasProgress = results.some((result) => !(result instanceof GrapevineError))
      for (const [index, call] of calls.entries()) {
        const result = results[index]
        if (!(result instanceof GrapevineError)) settle(call, result)
        // One answer holds so much and no more.
        else if (hasProgress && call.operation.op === 'get' && result.code === 'overloaded') this.#again(call, lane)
        else this.#failed(call, result, lane)
      }
    } catch (error) {
      for (const call of calls) {
        if (error instanceof GrapevineError) settle(call, errorFor(call.operation, error))
        else call.reject(error)
      }
    }
  }

  /** The problem of one operation in a batch, which the request as a whole did not try again. */
  #failed(call: Call, error: GrapevineError, lane: Lane): void {
    const waitMs = AGAIN_MS_MIN * 2 ** call.attempts * (0.5 + Math.random() / 2)
    const mayAgain = this.#asFits && error.retryable && error.outcome !== 'unknown' && call.attempts < ATTEMPTS_MAX
    if (!mayAgain || call.settled || Date.now() + waitMs >= call.deadlineMs || !this.#connection.budget.take())
      return settle(call, error)
    setTimeout(() => this.#again(call, lane), waitMs)
  }

  #again(call: Call, lane: Lane): void {
    if (call.settled) return
    call.carrier = undefined
    lane.queue.push(call)
    this.#schedule(lane)
  }
}

function newLane(name: string, { w, consistency }: Partial<Manner>, timeoutMs: number): Lane {
  return { name, w, consistency, timeoutMs, queue: [], inFlight: 0, scheduled: false }
}

function inFlightMax({ consistency }: Lane): number {
  return consistency === undefined ? IN_FLIGHT_MAX : LONE_READS_MAX
}

/** From the front of the queue as many as fit one request; those that are settled or late go on the way. */
function takeBatch(lane: Lane, companyBytesMax: number): Call[] {
  const { queue } = lane
  const opsMax = lane.consistency === undefined ? BATCH_OPS_MAX : 1
  const batch: Call[] = []
  const nowMs = Date.now()
  let bytes = ENVELOPE_BYTES
  let taken = 0
  let latestMs = 0
  for (const call of queue) {
    if (!call.settled && call.deadlineMs <= nowMs) settle(call, tooLate(call))
    if (!call.settled) {
      const alone = call.bytes > companyBytesMax
      // A request has the time of the call that has least: whoever has much more does not share it.
      if (batch.length === 0) latestMs = call.deadlineMs * 2 - nowMs
      else if (batch.length >= opsMax || alone || bytes + call.bytes > BATCH_BYTES_MAX || call.deadlineMs > latestMs)
        break
      batch.push(call)
      bytes += call.bytes
      if (alone) bytes = Infinity
    }
    taken += 1
  }
  if (taken === queue.length) lane.queue = []
  else queue.splice(0, taken)
  return batch
}

/** A missing key is an answer as good as another. */
function settle(call: Call, result: OperationResult | GrapevineError | undefined): void {
  if (call.settled) return
  call.settled = true
  if (!(result instanceof GrapevineError)) call.resolve(result)
  else if (result.code === 'not_found' && call.operation.op === 'get') call.resolve(undefined)
  else call.reject(result)
}

/** The call, which ends at once when the signal fires; its request too, when nobody else waits for that. */
function abortable(call: Call, signal: AbortSignal): Call {
  const { resolve, reject } = call
  const giveUp = (): void => {
    const outcome = call.operation.op === 'get' ? undefined : bound.attempts > 0 ? 'unknown' : 'not-applied'
    const message = 'The caller gave up.'
    settle(bound, new GrapevineError({ code: 'aborted', message, outcome, cause: signal.reason }))
    if (bound.carrier !== undefined && --bound.carrier.waiting === 0) bound.carrier.controller.abort(signal.reason)
  }
  const bound: Call = {
    ...call,
    resolve(result) {
      signal.removeEventListener('abort', giveUp)
      resolve(result)
    },
    reject(error) {
      signal.removeEventListener('abort', giveUp)
      reject(error)
    },
  }
  if (signal.aborted) giveUp()
  else signal.addEventListener('abort', giveUp, { once: true })
  return bound
}

function tooLate({ operation }: Call): GrapevineError {
  const message = 'The time was over before it was sent.'
  const error = new GrapevineError({ code: 'timeout', message, outcome: 'not-applied', retryable: true })
  return operation.op === 'get' ? withOutcome(error, undefined) : error
}
