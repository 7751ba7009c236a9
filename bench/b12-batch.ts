// B12: batches of 100 writes over HTTP to one node, every index, fsync before the answer.
import { OTHER_MEDIA_TYPES, type BatchRequest } from '@grapevine/contract'
import { unpack, Packr } from 'msgpackr'
import { compareServers } from './harness/compare.ts'
import { expectSuccess, HttpAnswers, type HttpAnswer } from './harness/http-answers.ts'
import { RedisAnswers, redisCommand } from './harness/redis-answers.ts'
import { BUCKET, eachOf, httpWithBody, keyName, newValue, VALUE_BYTES } from './harness/requests.ts'
import { readSettings } from './harness/settings.ts'
import { startGrapevine } from './peers/grapevine.ts'
import { ROWS_PER_REQUEST } from './peers/level-rows.ts'
import { startLevelRows, startNaiveLevel } from './peers/node-servers.ts'
import { startRedis } from './peers/redis.ts'

const BATCH_OPS = 100
const PIPELINE = 16
const REDIS_CONNECTIONS = 64
/** One writes while the next waits. */
const LEVEL_CONNECTIONS = 2
/** Decoding every answer would make the generator the bottleneck. */
const ANSWERS_PER_CHECK = 16

const settings = readSettings({ connections: 8, keys: 200_000 })
const { connections, keys, profile } = settings
const packr = new Packr({ useRecords: false })

const values = Array.from({ length: keys }, (_, index) => ({ key: keyName(index), value: newValue() }))
const batches = groupsOf(BATCH_OPS).map((group) => {
  const body: BatchRequest<Uint8Array> = {
    ops: group.map(({ key, value }) => ({ op: 'put', bucket: BUCKET, key, value })),
  }
  return httpWithBody('POST', '/v1/batch', OTHER_MEDIA_TYPES.msgpack, packr.pack(body))
})
const pipelines = groupsOf(PIPELINE).map((group) =>
  Buffer.concat(group.map(({ key, value }) => redisCommand('SET', key, value))),
)

/** A batch succeeds as a whole, and yet an operation in it may have been refused. */
function everyOperation(): (answer: HttpAnswer) => void {
  let answers = 0
  return (answer) => {
    expectSuccess(answer)
    if (answers++ % ANSWERS_PER_CHECK !== 0) return
    const { results } = unpack(answer.body) as { readonly results: readonly { readonly status: number }[] }
    const refused = results.find(({ status }) => status !== 204)
    if (refused !== undefined || results.length !== BATCH_OPS) throw new Error(`refused: ${JSON.stringify(refused)}`)
  }
}

function groupsOf(size: number): (typeof values)[] {
  return Array.from({ length: Math.floor(keys / size) }, (_, index) => values.slice(index * size, (index + 1) * size))
}

await compareServers({
  scenario: 'b12-batch',
  title: `batches of ${BATCH_OPS} durable writes to one node, ${connections} connections, ${VALUE_BYTES} B values`,
  method: [
    `${keys} keys in turn, over and over: written at first, overwritten later. msgpack; the answer follows the fsync.`,
    'Grapevine writes version, checksum, every index and its sums of the hash tree; the others nothing but the value.',
    `LevelDB alone writes ${ROWS_PER_REQUEST} rows a batch, with nobody to tell: an entry of ours is four or five rows.`,
    `Redis gets pipelines of ${PIPELINE} over ${REDIS_CONNECTIONS} connections, the customary measure.`,
  ],
  counted: 'entries',
  settings,
  product: {
    id: 'grapevine',
    start: (directory) => startGrapevine({ directory, profile }),
    load: { request: eachOf(batches), reader: () => new HttpAnswers(everyOperation()) },
    perRequest: BATCH_OPS,
  },
  rivals: [
    {
      id: 'level',
      start: startLevelRows,
      load: {
        request: () => httpWithBody('POST', '/v1/rows', OTHER_MEDIA_TYPES.msgpack, Buffer.alloc(0)),
        reader: () => new HttpAnswers(expectSuccess),
      },
      perRequest: ROWS_PER_REQUEST,
      connections: LEVEL_CONNECTIONS,
      // 100,000 entries/s where LevelDB takes 774,000 rows/s, which is where the target comes from.
      target: { sense: 'at least', limit: 0.13 },
    },
    {
      id: 'naive',
      start: (directory) => startNaiveLevel(directory, 'sync'),
      load: { request: eachOf(batches), reader: () => new HttpAnswers(expectSuccess) },
      perRequest: BATCH_OPS,
    },
    {
      id: 'redis',
      start: startRedis,
      load: { request: eachOf(pipelines), reader: () => new RedisAnswers(), answersPerRequest: PIPELINE },
      perRequest: PIPELINE,
      connections: REDIS_CONNECTIONS,
      target: { sense: 'at least', limit: 0.3 },
    },
  ],
  rateTarget: { sense: 'at least', limit: 100_000 },
})
