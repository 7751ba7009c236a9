import {
  decodeBase64,
  decodeUtf8,
  encodeUtf8,
  MEDIA_TYPES,
  type BatchBody,
  type BatchRequest,
  type BatchResult,
} from '@grapevine/contract'
import { toBase64 } from './bytes.ts'

/** In which form batches go over the wire. */
export interface BatchFormat {
  readonly mediaType: string
  encode(request: BatchRequest<Uint8Array>): Uint8Array
  /** The results, as many as there are; what cannot be read throws. */
  decode(bytes: Uint8Array): BatchBody<Uint8Array>
}

/** For every platform. Values are base64, a third larger than they are. */
export const jsonBatchFormat: BatchFormat = {
  mediaType: MEDIA_TYPES.json,
  encode({ ops, ...rest }) {
    const wireOps = ops.map((op) => (op.op === 'put' ? { ...op, value: toBase64(op.value) } : op))
    return encodeUtf8(JSON.stringify({ ops: wireOps, ...rest })) ?? new Uint8Array()
  },
  decode(bytes) {
    const body: unknown = JSON.parse(decodeUtf8(bytes) ?? '')
    return { results: resultsOf<string>(body).map(withBytes) }
  },
}

/** What is in them is looked at by whoever reads them. @throws {TypeError} for what has no results. */
export function resultsOf<Bytes>(body: unknown): readonly BatchResult<Bytes>[] {
  if (typeof body === 'object' && body !== null && 'results' in body && Array.isArray(body.results)) return body.results
  throw new TypeError('This is no answer to a batch.')
}

function withBytes({ value, ...rest }: BatchResult): BatchResult<Uint8Array> {
  if (value === undefined) return rest
  const bytes = decodeBase64(value)
  if (bytes === undefined) throw new TypeError('A value is not base64.')
  return { ...rest, value: bytes }
}
