import {
  MalformedMessageError,
  UnreachableError,
  type Answer,
  type Peer,
  type QuestionName,
  type Refusal,
} from '@grapevine/core'
import type { FrameCodec } from './frame.ts'

/** A question that waits for its answer. */
export interface Asked<Name extends QuestionName> {
  readonly name: Name
  readonly peer: Peer
  /** Who asked, as the question's header said. */
  readonly cluster: string
  readonly replica: string
  readonly request: number
}

/** What somebody else who lives there now says of himself. Any other refusal counts only from the one who was asked. */
const SAID_BY_STRANGERS: ReadonlySet<Refusal> = new Set(['wrong-cluster', 'wrong-replica', 'not-founded'])

/**
 * The answer in a frame, if it is the answer to this question and from whoever was asked.
 * @throws {UnreachableError} when it is not.
 * @throws {RefusalError} which the frame carried.
 */
export function acceptAnswer<Name extends QuestionName>(
  frame: Uint8Array,
  codec: FrameCodec,
  { name, peer, cluster, replica, request }: Asked<Name>,
): Answer<Name> {
  try {
    return codec.decodeAnswer(frame, name, (from, refusal) => {
      if (from.request !== request || (from.to !== '' && from.to !== replica))
        throw new UnreachableError('broken', `${peer.address} answered another question`)
      if (peer.replica === '' || (refusal !== undefined && SAID_BY_STRANGERS.has(refusal))) return
      if (from.cluster !== cluster || from.from !== peer.replica)
        throw new UnreachableError('broken', `another node lives at ${peer.address} now`)
    })
  } catch (error) {
    if (error instanceof MalformedMessageError)
      throw new UnreachableError('broken', `${peer.address} answered ${name} with nonsense: ${error.message}`)
    throw error
  }
}
