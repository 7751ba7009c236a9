import { OTHER_MEDIA_TYPES, type BatchResult } from '@grapevine/contract'
import { Packr } from 'msgpackr'
import { resultsOf, type BatchFormat } from './batch-format.ts'

const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true })

/** Values go as the bytes that they are. */
export const msgpackBatchFormat: BatchFormat = {
  mediaType: OTHER_MEDIA_TYPES.msgpack,
  encode: (request) => packr.pack(request),
  decode(bytes) {
    const body: unknown = packr.unpack(bytes)
    return { results: resultsOf<unknown>(body).map(checked) }
  },
}

/** @throws {TypeError} for a value that is not bytes: msgpack has many other types. */
function checked({ value, ...rest }: BatchResult<unknown>): BatchResult<Uint8Array> {
  if (value === undefined || value === null) return rest
  if (value instanceof Uint8Array) return { ...rest, value }
  throw new TypeError('A value is not bytes.')
}
