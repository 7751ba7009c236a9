import { OTHER_MEDIA_TYPES, type BatchRequest } from '@grapevine/contract'
import { Packr } from 'msgpackr'
import { expectSuccess, HttpAnswers } from './http-answers.ts'
import { runLoad } from './load.ts'
import { BUCKET, httpWithBody, keyName, newValue } from './requests.ts'

export const BATCH_OPS = 100
export const CONNECTIONS = 8
const FILL_SECONDS_MAX = 600

const packr = new Packr({ useRecords: false })

/** Writes every key once, by batches. Resolves with the seconds that it took. */
export async function fill(port: number, keys: number): Promise<number> {
  let next = 0
  const request = (): Buffer => {
    const count = Math.min(BATCH_OPS, Math.max(1, keys - next))
    const body: BatchRequest<Uint8Array> = {
      ops: Array.from({ length: count }, () => ({
        op: 'put',
        bucket: BUCKET,
        key: keyName(next++),
        value: newValue(),
      })),
    }
    return httpWithBody('POST', '/v1/batch', OTHER_MEDIA_TYPES.msgpack, packr.pack(body))
  }
  const reader = () => new HttpAnswers(expectSuccess)
  const requestsMax = Math.ceil(keys / BATCH_OPS)
  const { seconds, requests } = await runLoad({
    port,
    connections: CONNECTIONS,
    request,
    reader,
    seconds: FILL_SECONDS_MAX,
    requestsMax,
  })
  if (requests < requestsMax) throw new Error(`only ${requests} of ${requestsMax} batches within ${FILL_SECONDS_MAX} s`)
  return seconds
}
