import {
  UnreachableError,
  type Hash,
  type Peer,
  type Question,
  type QuestionName,
  type Transport,
} from '@grapevine/core'
import { acceptAnswer, answerFrame, FrameCodec, type AnsweringOptions } from '@grapevine/wire'
import type { EventQueue } from './event-queue.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import type { Trace } from './trace.ts'

/** What a directed link does to what travels on it. Probabilities are per frame. */
export interface LinkQuality {
  /** Median one way; now and then several times as much. */
  readonly latencyMs: number
  /** The frame is never seen again. */
  readonly loss: number
  /** It arrives twice. */
  readonly duplicates: number
  /** It takes up to `reorderMs` longer, so that later ones overtake it. */
  readonly reorder: number
  readonly reorderMs: number
  /** One of its bits arrives flipped. */
  readonly corruption: number
  /** Of answers only: it was heard and done, and nobody learns of it. */
  readonly lostResponses: number
  /** Of questions only: it comes again, once, after seconds or much longer. */
  readonly replay: number
  readonly replayAfterMs: number
  /** 0 for as much as there is. */
  readonly bytesPerSecond: number
}

export const GOOD_LINK: LinkQuality = {
  latencyMs: 0.5,
  loss: 0,
  duplicates: 0,
  reorder: 0,
  reorderMs: 200,
  corruption: 0,
  lostResponses: 0,
  replay: 0,
  replayAfterMs: 10_000,
  bytesPerSecond: 0,
}

/** A quarter of a million frames at 1 KiB each are 256 MiB: a run that keeps more keeps the wrong ones. */
const ARCHIVED_FRAMES_MAX = 5_000

/** Who is at an address now. */
export interface Host {
  readonly name: string
  readonly process: SimulatedProcess
  readonly answering: AnsweringOptions
}

export interface Frame {
  readonly from: string
  readonly to: string
  readonly name: QuestionName
  readonly isAnswer: boolean
  readonly bytes: Buffer
}

/** Which frame is to be damaged. `*` stands for every node, and for every name. */
export interface Damage {
  readonly from: string
  readonly to: string
  readonly name: string
  readonly part?: 'question' | 'answer'
}

interface Archived {
  readonly atMs: number
  readonly address: string
  readonly frame: Frame
}

export interface NetworkOptions {
  readonly queue: EventQueue
  readonly random: SeededRandom
  readonly hash: Hash
  readonly trace: Trace
  /** The process that listens at an address, if any. */
  readonly hostAt: (address: string) => Host | undefined
  readonly nameAt: (address: string) => string | undefined
  readonly onFault: (fault: string, detail: string) => void
  /** A question passed all checks and is about to be answered. */
  readonly onAccepted: (to: Host, frame: Frame, header: { cluster: string; from: string; to: string }) => void
}

/** What every node's frames travel through: real bytes, and whatever the links do to them. */
export class SimulatedNetwork {
  readonly #options: NetworkOptions
  readonly #codec: FrameCodec
  readonly #links = new Map<string, { random: SeededRandom; freeAtMs: number }>()
  readonly #worse = new Set<{ from: string; to: string; quality: Partial<LinkQuality> }>()
  readonly #cuts = new Set<{ from: string; to: string }>()
  readonly #archive: Archived[] = []
  /** Frames that are to be damaged, each once. */
  readonly #toDamage: Damage[] = []
  /** Questions that nodes refused, by their reason. */
  readonly refused: Map<string, number> = new Map()
  #quality: LinkQuality = GOOD_LINK
  /** Rises when all is healed: what was to come again from before does not. */
  #era = 0
  /** Frames that were sent, by whatever fate. */
  frames = 0
  bytes = 0

  constructor(options: NetworkOptions) {
    this.#options = options
    this.#codec = new FrameCodec(options.hash)
  }

  /** What every link is like that nothing else was said of. */
  set quality(quality: Partial<LinkQuality>) {
    this.#quality = { ...GOOD_LINK, ...quality }
  }

  /** Until what it returns is called. `*` stands for every node. */
  degrade(from: string, to: string, quality: Partial<LinkQuality>): () => void {
    const worse = { from, to, quality }
    this.#worse.add(worse)
    return () => void this.#worse.delete(worse)
  }

  cut(from: string, to: string): () => void {
    const cut = { from, to }
    this.#cuts.add(cut)
    return () => void this.#cuts.delete(cut)
  }

  /** The next such frame arrives with one of its bits flipped. */
  damageNext({ from, to, name, part }: Damage): void {
    this.#toDamage.push({ from, to, name, ...(part !== undefined && { part }) })
  }

  /** Questions that were asked before, however long ago, are asked again, to whoever is at that address now. */
  replayArchived(count: number, sentBeforeMs: number): void {
    const { random } = this.#options
    const old = this.#archive.filter(({ atMs }) => atMs <= sentBeforeMs)
    for (let replayed = 0; replayed < count && old.length > 0; replayed++) {
      const { address, frame } = random.pick(old)
      this.#comeAgain(random.between(0, 1_000), () => this.#arrive(address, frame, undefined))
    }
  }

  heal(): void {
    this.#era++
    this.#quality = GOOD_LINK
    this.#worse.clear()
    this.#cuts.clear()
    this.#toDamage.length = 0
  }

  /** The asking side, for one process. */
  transportOf(from: string, process: SimulatedProcess, identity: AnsweringOptions['identity']): Transport {
    let requests = 0
    return {
      ask: async <Name extends QuestionName>(peer: Peer, name: Name, question: Question<Name>, timeoutMs: number) => {
        const { cluster, replica } = identity()
        const request = ++requests
        const bytes = this.#codec.encodeQuestion({ cluster, from: replica, to: peer.replica, request }, name, question)
        const answer = await this.#post(from, process, peer.address, name, bytes, timeoutMs)
        return acceptAnswer(answer, this.#codec, { name, peer, cluster, replica, request })
      },
    }
  }

  #post(
    from: string,
    process: SimulatedProcess,
    address: string,
    name: QuestionName,
    bytes: Buffer,
    timeoutMs: number,
  ): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      // Whatever comes first ends the question; what comes later belongs to no open one and is dropped.
      const timer = process.after(timeoutMs, () =>
        reject(new UnreachableError('timeout', `${address} did not answer ${name} in ${timeoutMs} ms`)),
      )
      const settle = (outcome: Buffer | UnreachableError): void => {
        process.enter(() => {
          timer.cancel()
          if (outcome instanceof UnreachableError) reject(outcome)
          else resolve(outcome)
        })
      }
      const to = this.#options.nameAt(address)
      if (to === undefined) {
        process.after(1, () => settle(new UnreachableError('refused', `nobody lives at ${address}`)))
        return
      }
      const frame = { from, to, name, isAnswer: false, bytes }
      this.#keep(address, frame)
      this.#send(frame, (arrived) => this.#arrive(address, arrived, settle))
    })
  }

  /** A question reaches an address. `settle` is for its answer; undefined when nobody waits for one. */
  #arrive(address: string, frame: Frame, settle: ((outcome: Buffer | UnreachableError) => void) | undefined): void {
    const { hostAt, trace, queue } = this.#options
    const host = hostAt(address)
    trace.note('arrives', queue.nowMs, frame.from, frame.to, frame.name, checksumOf(frame.bytes))
    if (host === undefined) {
      const refused = new UnreachableError('refused', `${frame.to} is down`)
      if (settle !== undefined && !this.#isCut(frame.to, frame.from))
        queue.after(this.#linkOf(frame.to, frame.from).random.longTail(this.#quality.latencyMs), () => settle(refused))
      return
    }
    host.process.enter(() => void this.#answer(host, frame, settle))
  }

  async #answer(
    host: Host,
    frame: Frame,
    settle: ((outcome: Buffer | UnreachableError) => void) | undefined,
  ): Promise<void> {
    const { answering } = host
    const bytes = await answerFrame(frame.bytes, this.#codec, {
      ...answering,
      judge: (header) => {
        const refusal = answering.judge(header)
        if (refusal === undefined) this.#options.onAccepted(host, frame, header)
        else this.refused.set(refusal, (this.refused.get(refusal) ?? 0) + 1)
        return refusal
      },
    })
    if (settle === undefined) return
    const back = { from: host.name, to: frame.from, name: frame.name, isAnswer: true }
    if (bytes === undefined) {
      // The peer port answers 400, without a frame.
      const broken = new UnreachableError('broken', `${host.name} answered ${frame.name} with status 400`)
      this.#send({ ...back, bytes: Buffer.alloc(0) }, () => settle(broken))
      return
    }
    this.#send({ ...back, bytes }, (arrived) => {
      const { trace, queue } = this.#options
      trace.note('returns', queue.nowMs, arrived.from, arrived.to, arrived.name, checksumOf(arrived.bytes))
      settle(arrived.bytes)
    })
  }

  #send(frame: Frame, arrive: (frame: Frame) => void): void {
    const { queue, onFault } = this.#options
    const { from, to, name, isAnswer } = frame
    const link = this.#linkOf(from, to)
    const { random } = link
    const quality = this.#qualityOf(from, to)
    const detail = `${from}>${to} ${name}${isAnswer ? ' answer' : ''}`
    this.frames++
    this.bytes += frame.bytes.length
    if (this.#isCut(from, to)) return onFault('frame-cut', detail)
    if (random.chance(quality.loss)) return onFault('frame-loss', detail)
    if (isAnswer && random.chance(quality.lostResponses)) return onFault('response-loss', detail)
    const damaged = this.#isToBeDamaged(frame) || random.chance(quality.corruption)
    if (damaged) onFault('frame-corruption', detail)
    const travelling = damaged ? { ...frame, bytes: withFlippedBit(frame.bytes, random) } : frame
    let delayMs = random.longTail(quality.latencyMs)
    if (quality.bytesPerSecond > 0) {
      const sentMs = (frame.bytes.length / quality.bytesPerSecond) * 1_000
      link.freeAtMs = Math.max(link.freeAtMs, queue.nowMs) + sentMs
      delayMs += link.freeAtMs - queue.nowMs
    }
    if (random.chance(quality.reorder)) {
      onFault('frame-delay', detail)
      delayMs += random.between(0, quality.reorderMs)
    }
    queue.after(delayMs, () => arrive(travelling))
    if (random.chance(quality.duplicates)) {
      onFault('frame-twice', detail)
      queue.after(delayMs + random.between(0, quality.reorderMs), () => arrive(travelling))
    }
    if (!isAnswer && random.chance(quality.replay)) {
      onFault('frame-again', detail)
      this.#comeAgain(random.between(quality.latencyMs, quality.replayAfterMs), () => arrive(travelling))
    }
  }

  #comeAgain(afterMs: number, arrive: () => void): void {
    const era = this.#era
    this.#options.queue.after(afterMs, () => {
      if (era === this.#era) arrive()
    })
  }

  /** The first come are kept for good, and of the later ones fewer and fewer. */
  #keep(address: string, frame: Frame): void {
    const { queue, random } = this.#options
    const archived = { atMs: queue.nowMs, address, frame }
    if (this.#archive.length < ARCHIVED_FRAMES_MAX) this.#archive.push(archived)
    else {
      const place = random.index(this.frames)
      if (place < ARCHIVED_FRAMES_MAX) this.#archive[place] = archived
    }
  }

  #linkOf(from: string, to: string): { random: SeededRandom; freeAtMs: number } {
    const name = `${from}>${to}`
    const known = this.#links.get(name)
    if (known !== undefined) return known
    const link = { random: this.#options.random.stream(name), freeAtMs: 0 }
    this.#links.set(name, link)
    return link
  }

  #qualityOf(from: string, to: string): LinkQuality {
    let quality = this.#quality
    for (const worse of this.#worse) if (isOn(worse, from, to)) quality = { ...quality, ...worse.quality }
    return quality
  }

  #isCut(from: string, to: string): boolean {
    for (const cut of this.#cuts) if (isOn(cut, from, to)) return true
    return false
  }

  #isToBeDamaged(frame: Frame): boolean {
    const index = this.#toDamage.findIndex(
      ({ from, to, name, part }) =>
        isOn({ from, to }, frame.from, frame.to) &&
        (name === '*' || name === frame.name) &&
        (part === undefined || (part === 'answer') === frame.isAnswer),
    )
    if (index >= 0) this.#toDamage.splice(index, 1)
    return index >= 0
  }
}

function isOn(link: { from: string; to: string }, from: string, to: string): boolean {
  return (link.from === '*' || link.from === from) && (link.to === '*' || link.to === to)
}

function withFlippedBit(bytes: Buffer, random: SeededRandom): Buffer {
  const flipped = Buffer.from(bytes)
  const bit = random.index(bytes.length * 8)
  flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
  return flipped
}

/** A frame begins with a checksum of all that follows, so this stands for all of its bytes. */
function checksumOf(bytes: Buffer): string {
  return `${bytes.length}:${bytes.toString('hex', 0, 8)}`
}
