import type { EventOf } from '../history/history.ts'
import type { CheckerKind } from './checker-kind.ts'
import { NodeLives } from './node-lives.ts'

type Opinion = EventOf<'opinion'>

/** P10 gives times for clusters up to this size. */
const NODES_MAX = 10
/** P10: by when a crash is seen by all. Also what is left for accusations that were under way when faults ended. */
const DETECTION_MS = 10_000
/** What a start brings, a new address or a word against an accusation, is heard of for so long, also behind an end that follows at once. */
const NEWS_MS = 3_000
/** A node that was thought dead is looked for now and then, not at once. */
const RECOVERY_MS = 30_000

/** What holds between two nodes, and since when. */
interface Pair {
  readonly observer: string
  readonly subject: string
  /** Since when the observer is well and the subject's process gone, and news of its start no longer under way. */
  goneSinceMs: number | undefined
  /** Since when both are well. */
  wellSinceMs: number | undefined
}

export const membership: CheckerKind = {
  name: 'membership',
  guards: 'P10',
  asserts:
    'Once faults have ended, and in clusters of up to ten: a process that is gone is seen dead, by every running node that is not away, 10 s later at the latest ' +
    '(13 s after its start, if it had just begun), and stays so; ' +
    'nodes that have both run for 30 s see each other alive at the audit. In clusters of any size a node that has run for 10 s is declared dead by nobody who has, too. ' +
    'A node that does not know of another one yet need not see it dead, and for 10 s after old frames come again whoever is gone may seem alive, and whoever is there dead.',
  watch(complain) {
    const lives = new NodeLives()
    const gone = new Set<string>()
    const pairs = new Map<string, Map<string, Pair>>()
    const opinions = new Opinions(lives)
    const startedMs = new Map<string, number>()
    // In order: each moment of detection is as far away as the next one.
    const due: { readonly pair: Pair; readonly sinceMs: number }[] = []
    let next = 0
    let replayedMs = Number.NEGATIVE_INFINITY
    let away: ReadonlySet<string> = new Set()
    let phase: 'chaos' | 'heal' | 'audit' = 'chaos'

    const isWell = (node: string): boolean => phase !== 'chaos' && lives.isServing(node) && !away.has(node)
    const sizeOf = (cluster: string): number =>
      [...lives.names].filter((node) => lives.cluster(node) === cluster).length
    const isSmall = (node: string): boolean => sizeOf(lives.cluster(node)) <= NODES_MAX

    const pairOf = (observer: string, subject: string): Pair => {
      const subjects = pairs.get(observer) ?? new Map<string, Pair>()
      pairs.set(observer, subjects)
      const pair = subjects.get(subject) ?? { observer, subject, goneSinceMs: undefined, wellSinceMs: undefined }
      subjects.set(subject, pair)
      return pair
    }
    const refresh = (observer: string, subject: string, atMs: number): void => {
      if (observer === subject || lives.cluster(observer) !== lives.cluster(subject)) return
      const pair = pairOf(observer, subject)
      const observes = isWell(observer)
      if (!observes || !gone.has(subject)) pair.goneSinceMs = undefined
      else if (pair.goneSinceMs === undefined) {
        const sinceMs = Math.max(atMs, (startedMs.get(subject) ?? Number.NEGATIVE_INFINITY) + NEWS_MS)
        pair.goneSinceMs = sinceMs
        const behind = due.findLastIndex((other) => other.sinceMs <= sinceMs)
        due.splice(Math.max(behind + 1, next), 0, { pair, sinceMs })
      }
      pair.wellSinceMs = observes && isWell(subject) ? (pair.wellSinceMs ?? atMs) : undefined
    }
    const judgeDue = (nowMs: number): void => {
      for (let first = due[next]; first !== undefined && first.sinceMs + DETECTION_MS < nowMs; first = due[++next]) {
        const { pair, sinceMs } = first
        const { observer, subject } = pair
        const state = opinions.of(observer, subject)
        if (pair.goneSinceMs !== sinceMs || (state !== 'alive' && state !== 'suspect') || !isSmall(observer)) continue
        complain({
          atMs: sinceMs + DETECTION_MS,
          node: observer,
          message: `${observer} sees ${subject} ${state} ${DETECTION_MS / 1_000} s after faults ended with ${subject} gone`,
        })
      }
    }
    const judgeAtAudit = (atMs: number): void => {
      for (const subjects of pairs.values())
        for (const { observer, subject, wellSinceMs } of subjects.values()) {
          const state = opinions.of(observer, subject)
          if (wellSinceMs === undefined || atMs - wellSinceMs < RECOVERY_MS || !isSmall(observer)) continue
          if (state === 'alive' || state === 'suspect') continue
          const sees = state === undefined ? `does not know ${subject}` : `sees ${subject} as ${state}`
          const message = `${observer} ${sees} at the audit, though both have run undisturbed for ${atMs - wellSinceMs} ms`
          complain({ atMs, node: observer, message })
        }
    }
    const hear = (event: Opinion): void => {
      opinions.hear(event)
      const { atMs, node, of, state } = event
      const pair = pairs.get(node)?.get(of)
      if (pair === undefined || !opinions.isOfPresent(event)) return
      const { wellSinceMs, goneSinceMs } = pair
      // What was said of an incarnation that everybody has forgotten may come back: a crash can lose the last one. It is refuted.
      const isFalse = wellSinceMs !== undefined && atMs - Math.max(wellSinceMs, replayedMs) > DETECTION_MS
      if (state === 'dead' && isFalse)
        complain({
          atMs,
          node,
          message: `${node} declares ${of} dead, though both have run undisturbed for ${atMs - wellSinceMs} ms`,
        })
      const isGone = goneSinceMs !== undefined && atMs - Math.max(goneSinceMs, replayedMs) > DETECTION_MS
      if (state === 'alive' && isGone && isSmall(node))
        complain({ atMs, node, message: `${node} sees ${of} alive again, whose process is gone` })
    }
    return {
      first(event) {
        judgeDue(event.atMs)
        lives.see(event)
      },
      opinion: hear,
      fault({ atMs, fault }) {
        if (fault === 'replay') replayedMs = atMs
      },
      process({ node, what, atMs }) {
        if (what === 'started') {
          opinions.forget(node)
          startedMs.set(node, atMs)
        }
        if (what === 'crashed' || what === 'ended-itself') gone.add(node)
        else if (what === 'started' || what === 'ready') gone.delete(node)
        for (const other of lives.names) {
          refresh(node, other, atMs)
          refresh(other, node, atMs)
        }
      },
      phase(event) {
        phase = event.phase
        if (phase === 'heal' || event.away !== undefined) away = new Set(event.away)
        for (const observer of lives.names) for (const subject of lives.names) refresh(observer, subject, event.atMs)
        if (phase === 'audit' && opinions.areKnown) judgeAtAudit(event.atMs)
      },
    }
  },
}

/** What the nodes think of each other now. */
class Opinions {
  /** Whether the history tells of opinions at all. */
  areKnown = false
  readonly #lives: NodeLives
  readonly #states = new Map<string, Map<string, Opinion>>()

  constructor(lives: NodeLives) {
    this.#lives = lives
  }

  hear(opinion: Opinion): void {
    this.areKnown = true
    if (!this.isOfPresent(opinion)) return
    const subjects = this.#states.get(opinion.node) ?? new Map<string, Opinion>()
    this.#states.set(opinion.node, subjects)
    subjects.set(opinion.of, opinion)
  }

  /** Whether it is about the replica that bears the name now, as far as is known, and not about an earlier one. */
  isOfPresent({ of, ofReplica }: Opinion): boolean {
    if (ofReplica === undefined) return true
    return !this.#lives.wasReplica(of, ofReplica) || this.#lives.replica(of) === ofReplica
  }

  of(observer: string, subject: string): Opinion['state'] | undefined {
    const opinion = this.#states.get(observer)?.get(subject)
    return opinion !== undefined && this.isOfPresent(opinion) ? opinion.state : undefined
  }

  /** A node that starts begins without opinions. */
  forget(observer: string): void {
    this.#states.delete(observer)
  }
}
