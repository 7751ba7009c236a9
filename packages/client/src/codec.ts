import { decodeUtf8, encodeUtf8, MEDIA_TYPES } from '@grapevine/contract'
import { GrapevineError } from './grapevine-error.ts'
import { describeIssues, type StandardSchema } from './standard-schema.ts'

/**
 * How the values of a bucket become bytes and are made of bytes again. `Input` is what may be written; with a schema
 * that transforms it differs from what is read. What `encode` throws is thrown by `put`, and nothing is sent.
 */
export interface Codec<Value, Input = Value> {
  /** Kept with the value. */
  readonly contentType: string
  /** The bytes are ours from then on: give a copy of what may still change. */
  encode(value: Input): Uint8Array | Promise<Uint8Array>
  decode(bytes: Uint8Array, contentType: string): Value | Promise<Value>
}

/** `json`: anything that JSON has. `text`: UTF-8. `bytes`: a `Uint8Array` as it is. */
export type CodecName = 'json' | 'text' | 'bytes'

export const bytesCodec: Codec<Uint8Array> = {
  contentType: MEDIA_TYPES.bytes,
  encode: (value) => (value instanceof Uint8Array ? value.slice() : fail('The value is no Uint8Array.')),
  decode: (bytes) => bytes,
}

export const textCodec: Codec<string> = {
  contentType: 'text/plain; charset=utf-8',
  encode(value) {
    if (typeof value !== 'string') return fail('The value is no text.')
    return encodeUtf8(value) ?? fail('The text holds a lone surrogate, which has no UTF-8.')
  },
  decode: (bytes) => decodeUtf8(bytes) ?? fail('The value is not valid UTF-8.'),
}

export const jsonCodec: Codec<unknown> = {
  contentType: MEDIA_TYPES.json,
  encode: encodeJson,
  decode: decodeJson,
}

/**
 * JSON that a schema vouches for, on both ways: a value that does not fit is `bad_value` when it is written, before
 * anything is sent, and when it is read. What is stored is the value as it was given; what is read is the schema's
 * output, so that a default is filled in, and a transformation done, at each reading.
 */
export function json<Output, Input = Output>(schema: StandardSchema<Input, Output>): Codec<Output, Input> {
  const { validate } = schema['~standard']
  return {
    contentType: MEDIA_TYPES.json,
    encode(value) {
      const text = encodeJson(value)
      // Checked as it will be read: what JSON makes of the value counts.
      const result = validate(decodeJson(text))
      return result instanceof Promise ? result.then((late) => (checked(late), text)) : (checked(result), text)
    },
    decode(bytes) {
      const result = validate(decodeJson(bytes))
      return result instanceof Promise ? result.then(checked) : checked(result)
    },
  }
}

function checked<Output>(
  result: Awaited<ReturnType<StandardSchema<unknown, Output>['~standard']['validate']>>,
): Output {
  if (result.issues === undefined) return result.value
  return fail(`The value does not fit its schema: ${describeIssues(result.issues)}.`)
}

function encodeJson(value: unknown): Uint8Array {
  let text: string | undefined
  try {
    // Of undefined, a function or a symbol JSON makes nothing at all, whatever the type says.
    text = JSON.stringify(value) as string | undefined
  } catch (cause) {
    return fail('The value has no JSON.', cause)
  }
  if (text === undefined) return fail(`A value of type ${typeof value} has no JSON.`)
  // Lone surrogates come out of stringify as escapes, so this text always has UTF-8.
  return encodeUtf8(text) ?? fail('The value has no UTF-8.')
}

function decodeJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decodeUtf8(bytes) ?? '')
  } catch (cause) {
    return fail('The value is not JSON.', cause)
  }
}

function fail(message: string, cause?: unknown): never {
  throw new GrapevineError({ code: 'bad_value', message, outcome: 'not-applied', cause })
}
