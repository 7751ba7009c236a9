import {
  PEER_FRAME_BYTES_MAX,
  PEER_FRAME_OVERHEAD_BYTES,
  REFUSALS,
  RefusalError,
  type Answer,
  type Hash,
  type Question,
  type QuestionName,
  type Refusal,
} from '@grapevine/core'
import { Packr } from 'msgpackr'
import { clusterIdOrNone, count, fields, idOrNone, malformed, oneOf, text, type Codec } from './fields.ts'
import { messageCodecs, type MessageCodecs } from './messages.ts'
import { scanMessage } from './scan.ts'

const PROTOCOL = 1
const CHECKSUM_BYTES = 8
const HEAD_AT: number = CHECKSUM_BYTES + 2

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
 * Turns questions and answers into frames and back. A frame is the first 8 bytes of the SHA-256 of what follows, two
 * bytes of the head's length, the head and the body. Head and body are msgpack: the head is
 * `[protocol, header, name]` or `[protocol, header, refusal or nil]`, and it is judged before the body is looked at.
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
    return this.#seal([PROTOCOL, header.encode(to), name], this.#messages[name].question.encode(question))
  }

  /** @throws {MalformedMessageError} */
  decodeQuestion(frame: Uint8Array): ReceivedQuestion {
    const { head, body } = this.#open(frame)
    const name = head[2]
    if (!isQuestionName(name, this.#messages)) throw malformed('no such question')
    const { question } = this.#messages[name]
    return { header: header.decode(head[1]), name, body: () => question.decode(this.#unpack(body)) }
  }

  encodeAnswer<Name extends QuestionName>(from: FrameHeader, name: Name, answer: Answer<Name>): Buffer {
    return this.#seal([PROTOCOL, header.encode(from), null], this.#messages[name].answer.encode(answer))
  }

  encodeRefusal(from: FrameHeader, { code, message }: RefusalError): Buffer {
    return this.#seal([PROTOCOL, header.encode(from), refusal.encode({ code, message: message.slice(0, 2_000) })], null)
  }

  /**
   * @throws {MalformedMessageError}
   * @throws {RefusalError} which the frame carried, after `check` has found its header acceptable.
   */
  decodeAnswer<Name extends QuestionName>(
    frame: Uint8Array,
    name: Name,
    check: (header: FrameHeader, refusal: Refusal | undefined) => void,
  ): Answer<Name> {
    const { head, body } = this.#open(frame)
    const refused = head[2] === null ? undefined : refusal.decode(head[2])
    check(header.decode(head[1]), refused?.code)
    if (refused !== undefined) throw new RefusalError(refused.code, refused.message)
    return this.#messages[name].answer.decode(this.#unpack(body))
  }

  #seal(head: readonly unknown[], body: unknown): Buffer {
    const packedHead = this.#packr.pack(head)
    const packedBody = this.#packr.pack(body)
    const frame = Buffer.allocUnsafe(HEAD_AT + packedHead.length + packedBody.length)
    frame.writeUInt16BE(packedHead.length, CHECKSUM_BYTES)
    frame.set(packedHead, HEAD_AT)
    frame.set(packedBody, HEAD_AT + packedHead.length)
    frame.write(this.#hash.sha256(frame.subarray(CHECKSUM_BYTES)), 0, CHECKSUM_BYTES, 'latin1')
    return frame
  }

  #open(frame: Uint8Array): { head: readonly unknown[]; body: Uint8Array } {
    const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength)
    const checksum = bytes.toString('latin1', 0, CHECKSUM_BYTES)
    if (
      bytes.length < HEAD_AT ||
      this.#hash.sha256(bytes.subarray(CHECKSUM_BYTES)).slice(0, CHECKSUM_BYTES) !== checksum
    )
      throw malformed('a frame fails its checksum')
    const bodyAt = HEAD_AT + bytes.readUInt16BE(CHECKSUM_BYTES)
    if (bodyAt > bytes.length) throw malformed('a frame ends early')
    const head = this.#unpack(bytes.subarray(HEAD_AT, bodyAt))
    if (!Array.isArray(head) || head.length !== 3) throw malformed('a head has three parts')
    if (protocol.decode(head[0]) !== PROTOCOL) throw malformed('another protocol')
    return { head, body: bytes.subarray(bodyAt) }
  }

  #unpack(bytes: Uint8Array): unknown {
    scanMessage(bytes)
    return this.#packr.unpack(bytes)
  }
}

function isQuestionName(name: unknown, messages: MessageCodecs): name is QuestionName {
  return typeof name === 'string' && Object.hasOwn(messages, name)
}
