import {
  MalformedMessageError,
  RefusalError,
  type Answer,
  type Log,
  type Question,
  type QuestionName,
  type Refusal,
} from '@grapevine/core'
import type { FrameCodec, FrameHeader, ReceivedQuestion } from './frame.ts'

/** Who answers. */
export interface Answering {
  /** Whether the question may be answered at all, told before its body is looked at. */
  judge(header: FrameHeader & { readonly name: QuestionName }): Refusal | undefined
  answer<Name extends QuestionName>(
    header: FrameHeader & { readonly name: QuestionName },
    name: Name,
    question: Question<Name>,
  ): Promise<Answer<Name>>
}

export interface AnsweringOptions extends Answering {
  readonly identity: () => { readonly cluster: string; readonly replica: string }
  readonly log: Log
}

/** The frame to send back, or undefined when what came is not one of ours. */
export async function answerFrame(
  frame: Uint8Array,
  codec: FrameCodec,
  options: AnsweringOptions,
): Promise<Buffer | undefined> {
  let received: ReceivedQuestion
  try {
    received = codec.decodeQuestion(frame)
  } catch (error) {
    if (!(error instanceof MalformedMessageError)) throw error
    options.log.warn('malformed-frame', { error: error.message })
    return undefined
  }
  const { header, name, body } = received
  const { cluster, replica } = options.identity()
  const back: FrameHeader = { cluster, from: replica, to: header.from, request: header.request }
  try {
    const refusal = options.judge({ ...header, name })
    if (refusal !== undefined)
      throw new RefusalError(refusal, `${name} from ${header.from || 'a stranger'}: ${refusal}`)
    const answer = await options.answer({ ...header, name }, name, body())
    // Who we are may have become known while we answered.
    return codec.encodeAnswer({ ...back, ...identityOf(options) }, name, answer)
  } catch (error) {
    return codec.encodeRefusal(back, refusalOf(error, name, options.log))
  }
}

function identityOf({ identity }: AnsweringOptions): { cluster: string; from: string } {
  const { cluster, replica } = identity()
  return { cluster, from: replica }
}

function refusalOf(error: unknown, name: QuestionName, log: Log): RefusalError {
  if (error instanceof RefusalError) return error
  if (error instanceof MalformedMessageError) return new RefusalError('malformed', error.message)
  log.error('question-not-answered', { question: name, error: error instanceof Error ? error.stack : String(error) })
  return new RefusalError('failed', error instanceof Error ? error.message : String(error))
}
