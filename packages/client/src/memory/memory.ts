import { PROBLEMS, problemOf, type FailedOutcome, type ProblemCode } from '@grapevine/contract'
import { jsonBatchFormat } from '../batch-format.ts'
import type { ConnectOptions } from '../connection.ts'
import { bounded, type Answer, type Contact, type OutgoingRequest } from '../contact.ts'
import { openGrapevine, type Grapevine } from '../grapevine.ts'
import { sleep } from '../send.ts'
import { MemoryNode, problemAnswer, type NodeAnswer } from './memory-node.ts'

export interface MemoryOptions extends Pick<ConnectOptions, 'timeoutMs' | 'session' | 'writeIds'> {
  /** The store, to share one among several clients. Default: a new and empty one. */
  readonly node?: MemoryNode | undefined
}

/** How requests are to fail. */
export interface MemoryFailure {
  /** The problem to answer with. Without it the connection breaks, and the outcome is `unknown`. */
  readonly code?: ProblemCode | undefined
  /** Of a write. Default `not-applied` with a code. What is `not-applied` and retryable the client tries again. */
  readonly outcome?: FailedOutcome | undefined
  /** Whether the write was applied in truth, where its outcome is `unknown`. Default yes. */
  readonly applied?: boolean | undefined
}

/** Switches for what a network and a node can do to a program under test. */
export interface MemoryFaults {
  /** Milliseconds before each answer. */
  latencyMs: number
  /** Nobody is there: calls fail with `unreachable` and `not-applied` after a few tries, watches wait. */
  offline: boolean
  /** The next `times` requests fail so, tries of the client's own included. */
  failNext(failure: MemoryFailure, times?: number): void
}

export interface MemoryGrapevine extends Grapevine {
  readonly faults: MemoryFaults
  readonly node: MemoryNode
}

/** The same interface as `connect` gives, over a store of one node in this process: for tests of your own. */
export function memory(options: MemoryOptions = {}): MemoryGrapevine {
  const { node = new MemoryNode() } = options
  const faults = new Faults()
  const contact = memoryContact(node, faults)
  const grapevine = openGrapevine(
    'http://memory.invalid',
    { ...options, discover: false },
    { contact, batchFormat: jsonBatchFormat },
  )
  return Object.assign(grapevine, { faults, node })
}

class Faults implements MemoryFaults {
  latencyMs = 0
  offline = false
  readonly #failures: MemoryFailure[] = []

  failNext(failure: MemoryFailure, times = 1): void {
    for (let count = 0; count < times; count++) this.#failures.push(failure)
  }

  take(): MemoryFailure | undefined {
    return this.#failures.shift()
  }
}

function memoryContact(node: MemoryNode, faults: Faults): Contact {
  return (_, request, options) =>
    bounded(options, async (signal) => {
      if (faults.latencyMs > 0) await sleep(faults.latencyMs, signal)
      signal.throwIfAborted()
      if (faults.offline) throw Object.assign(new Error('offline'), { syscall: 'connect' })
      const failure = faults.take()
      return failure === undefined
        ? answerOf(node.handle({ ...nodeRequest(request), signal }))
        : fail(failure, request, node)
    })
}

function fail({ code, outcome, applied = true }: MemoryFailure, request: OutgoingRequest, node: MemoryNode): Answer {
  const unknown = outcome === 'unknown' || code === undefined
  if (unknown && applied && !request.safe) node.handle(nodeRequest(request))
  if (code === undefined) throw new Error('The connection broke, as was asked for.')
  const problem = problemOf(code, {
    detail: `${PROBLEMS[code].title}, as was asked for.`,
    traceId: 'memory',
    ...(!request.safe && { outcome: unknown ? 'unknown' : 'not-applied' }),
  })
  return answerOf(problemAnswer(problem))
}

function nodeRequest({ method, path, headers, body }: OutgoingRequest): Parameters<MemoryNode['handle']>[0] {
  // Bodies that are streams are an operator's, and this node has none.
  return { method, path, headers: new Headers(headers), body: body instanceof Uint8Array ? body : new Uint8Array() }
}

function answerOf({ status, headers, body, events }: NodeAnswer): Answer {
  return { kind: 'answer', status, headers: new Headers(headers), body, stream: events }
}
