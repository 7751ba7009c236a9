import {
  MalformedMessageError,
  PEER_FRAME_BYTES_MAX,
  PEER_FRAME_OVERHEAD_BYTES,
  REFUSALS,
  RefusalError,
  type Answer,
  type Hash,
  type Question,
  type QuestionName,
} from '@grapevine/core'
import { Packr } from 'msgpackr'
import { clusterIdOrNone, count, fields, idOrNone, malformed, oneOf, text, type Codec } from './fields.ts'
import { messageCodecs, type MessageCodecs } from './messages.ts'
import { scanMessage } from './scan.ts'

const PROTOCOL = 1
const CHECKSUM_BYTES = 8

/** Who asks whom, and which answer belongs to it (frontier.md: messages are bound to ids and to their request). */
export interface FrameHeader {
  readonly cluster: string
  readonly from: string
  /** Empty in a question to an address of which nobody knows who lives there. */
  readonly to: string
  /** Number of the question; its answer repeats it. */
  readonly request: number
}

export interface ReceivedQuestion<Name extends QuestionName = QuestionName> {
  readonly header: FrameHeader
  readonly name: Name
  /** Decodes the question itself, once the header was found acceptable. @throws {MalformedMessageError} */
  readonly body: () => Question<Name>
}

/** A frame must hold one value of the largest permitted size. */
export function frameBytesMax(valueBytesMax: number): number {
  return Math.max(PEER_FRAME_BYTES_MAX, valueBytesMax) + PEER_FRAME_OVERHEAD_BYTES
}

const header: Codec<FrameHeader> = fields<FrameHeader>({
  cluster: clusterIdOrNone,
  from: idOrNone,
  to: idOrNone,
  request: count(2 ** 48),
})
const refusal = fields<{ code: (typeof REFUSALS)[number]; message: string }>({
  code: oneOf(...REFUSALS),
  message: text(2_000),
})
const protocol = count(PROTOCOL)

/**
 * Turns questions and answers into frames and back. A frame is the first 8 bytes of the SHA-256 of what follows, and
 * a msgpack array: `[protocol, header, name, question]` or `[protocol, header, refusal or nil, answer or nil]`.
 */
export class FrameCodec {
  readonly #hash: Hash
  readonly #messages: MessageCodecs
  readonly #packr = new Packr({ useRecords: false, moreTypes: false, int64AsType: 'number' })

  constructor(hash: Hash) {
    this.#hash = hash
    this.#messages = messageCodecs(hash)
  }

  encodeQuestion<Name extends QuestionName>(to: FrameHeader, name: Name, question: Question<Name>): Buffer {
    return this.#seal([PROTOCOL, header.encode(to), name, this.#messages[name].question.encode(question)])
  }

  /** @throws {MalformedMessageError} */
  decodeQuestion(frame: Uint8Array): ReceivedQuestion {
    const [, from, name, body] = this.#open(frame)
    if (!isQuestionName(name, this.#messages)) throw malformed('no such question')
    const { question } = this.#messages[name]
    return { header: header.decode(from), name, body: () => question.decode(body) }
  }

  encodeAnswer<Name extends QuestionName>(from: FrameHeader, name: Name, answer: Answer<Name>): Buffer {
    return this.#seal([PROTOCOL, header.encode(from), null, this.#messages[name].answer.encode(answer)])
  }

  encodeRefusal(from: FrameHeader, { code, message }: RefusalError): Buffer {
    return this.#seal([PROTOCOL, header.encode(from), refusal.encode({ code, message: message.slice(0, 2_000) }), null])
  }

  /**
   * @throws {MalformedMessageError}
   * @throws {RefusalError} which the frame carried, after `check` has found its header acceptable.
   */
  decodeAnswer<Name extends QuestionName>(
    frame: Uint8Array,
    name: Name,
    check: (header: FrameHeader, isRefusal: boolean) => void,
  ): Answer<Name> {
    const [, from, refused, body] = this.#open(frame)
    check(header.decode(from), refused !== null)
    if (refused !== null) {
      const { code, message } = refusal.decode(refused)
      throw new RefusalError(code, message)
    }
    return this.#messages[name].answer.decode(body)
  }

  #seal(message: readonly unknown[]): Buffer {
    const packed = this.#packr.pack(message)
    const checksum = Buffer.from(this.#hash.sha256(packed), 'latin1').subarray(0, CHECKSUM_BYTES)
    return Buffer.concat([checksum, packed])
  }

  #open(frame: Uint8Array): readonly unknown[] {
    const packed = frame.subarray(CHECKSUM_BYTES)
    const checksum = Buffer.from(frame.subarray(0, CHECKSUM_BYTES)).toString('latin1')
    if (frame.length <= CHECKSUM_BYTES || this.#hash.sha256(packed).slice(0, CHECKSUM_BYTES) !== checksum)
      throw new MalformedMessageError('a frame fails its checksum')
    scanMessage(packed)
    const message: unknown = this.#packr.unpack(packed)
    if (!Array.isArray(message) || message.length !== 4) throw malformed('not four parts')
    if (protocol.decode(message[0]) !== PROTOCOL) throw malformed('another protocol')
    return message
  }
}

function isQuestionName(name: unknown, messages: MessageCodecs): name is QuestionName {
  return typeof name === 'string' && Object.hasOwn(messages, name)
}
