import { decodeUtf8, encodeUtf8, MEDIA_TYPES } from '@grapevine/contract'
import { GrapevineError } from './grapevine-error.ts'
import { describeIssues, type StandardSchema } from './standard-schema.ts'

/** How the values of a bucket become bytes and are made of bytes again. */
export interface Codec<Value> {
  readonly contentType: string
  encode(value: Value): Uint8Array
  decode(bytes: Uint8Array, contentType: string): Value | Promise<Value>
}

export type CodecName = 'json' | 'text' | 'bytes'

export const bytesCodec: Codec<Uint8Array> = {
  contentType: MEDIA_TYPES.bytes,
  encode: (value) => value,
  decode: (bytes) => bytes,
}

export const textCodec: Codec<string> = {
  contentType: 'text/plain; charset=utf-8',
  encode: (value) => encodeUtf8(value) ?? fail('The text holds a lone surrogate, which has no UTF-8.'),
  decode: (bytes) => decodeUtf8(bytes) ?? fail('The value is not valid UTF-8.'),
}

export const jsonCodec: Codec<unknown> = {
  contentType: MEDIA_TYPES.json,
  encode: (value) => encodeJson(value),
  decode: (bytes) => decodeJson(bytes),
}

/**
 * JSON that a schema vouches for. It is checked when it is read, since that is where it comes from outside; on
 * writing the compiler has checked it. The schema's input and output are to be of one form.
 */
export function json<Value>(schema: StandardSchema<Value>): Codec<Value> {
  return {
    contentType: MEDIA_TYPES.json,
    encode: encodeJson,
    async decode(bytes) {
      const result = await schema['~standard'].validate(decodeJson(bytes))
      if (result.issues === undefined) return result.value
      return fail(`The value does not fit its schema: ${describeIssues(result.issues)}.`)
    },
  }
}

function encodeJson(value: unknown): Uint8Array {
  // Of undefined, a function or a symbol JSON makes nothing at all, whatever the type says.
  const text = JSON.stringify(value) as string | undefined
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
  throw new GrapevineError({ code: 'bad_value', message, cause })
}
