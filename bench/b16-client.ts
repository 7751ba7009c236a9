// B16: writes of one process through the client library to one node, beside ioredis with automatic pipelines.
import { connect } from '@grapevine/client/node'
import { Redis } from 'ioredis'
import { BUCKET, keyName, newValue, VALUE_BYTES } from './harness/requests.ts'
import { figure, numberText, ScenarioReport } from './harness/results.ts'
import { ratios, takeTurns } from './harness/rounds.ts'
import { readSettings } from './harness/settings.ts'
import { Workspace } from './harness/workspace.ts'
import { ifAvailable } from './peers/available.ts'
import { startGrapevine } from './peers/grapevine.ts'
import { startRedis } from './peers/redis.ts'

/** Each with one write under way. */
const WRITERS = 256

const settings = readSettings()
const { rounds, seconds, warmupSeconds, keys, profile } = settings

interface Sample {
  readonly perSecond: number
}

type Put = (key: string, value: Buffer) => Promise<unknown>

const report = new ScenarioReport(
  {
    scenario: 'b16-client',
    title: `writes of one process through a client library, ${WRITERS} writers, ${VALUE_BYTES} B values`,
    method: [
      'Each writer waits for its answer and writes again; what is asked in one turn of the event loop shares a request.',
      `Random keys out of ${keys}. The client is as it comes: with sessions, and with a name for each write.`,
      'Client and server share the two cores of this machine, on both sides.',
    ],
  },
  settings,
)
await using workspace = await Workspace.make(settings.directory)
await using running = new AsyncDisposableStack()

const node = running.use(await startGrapevine({ directory: `${workspace.path}/grapevine`, profile }))
const grapevine = running.use(await connect(node.url, { discover: false }))
const bucket = grapevine.bucket(BUCKET, { codec: 'bytes' })
const contestants = [contestant(node.name, async (key, value) => bucket.put(key, value))]

const redis = await ifAvailable(() => startRedis(`${workspace.path}/redis`), report)
if (redis !== undefined) {
  running.use(redis)
  const client = new Redis({ host: '127.0.0.1', port: redis.port, enableAutoPipelining: true })
  running.defer(() => client.disconnect())
  contestants.push(contestant(`ioredis, ${redis.name}`, async (key, value) => client.set(key, value)))
}

const samples = await takeTurns(rounds, contestants)
const [ours, theirs] = contestants.map(({ name }) => ({
  name,
  rates: (samples.get(name) ?? []).map(({ perSecond }) => perSecond),
}))
if (ours === undefined) throw new Error('nothing was measured')
report.add(figure(`client, ${ours.name}`, 'put/s', ours.rates, { sense: 'at least', limit: 45_000 }))
if (theirs !== undefined) {
  report.add(figure(theirs.name, 'set/s', theirs.rates))
  report.add(
    figure(`client ÷ ${theirs.name}`, '×', ratios(ours.rates, theirs.rates), { sense: 'at least', limit: 0.45 }),
  )
}
await report.finish()

function contestant(name: string, put: Put) {
  return {
    name,
    measure: async (): Promise<Sample> => measure(put),
    show: ({ perSecond }: Sample): string => `${numberText(perSecond)}/s`,
  }
}

async function measure(put: Put): Promise<Sample> {
  // Drawn beforehand: it is no part of what is measured.
  const values = Array.from({ length: 1_000 }, newValue)
  const names = Array.from({ length: keys }, (_, index) => keyName(index))
  let done = 0
  let ends = false
  const write = async (writer: number): Promise<void> => {
    for (let turn = writer; !ends; turn += WRITERS) {
      const key = names[Math.floor(Math.random() * keys)] ?? ''
      await put(key, values[turn % values.length] ?? Buffer.alloc(0))
      done++
    }
  }
  const writers = Array.from({ length: WRITERS }, (_, writer) => write(writer))
  await elapse(warmupSeconds)
  const startedMs = performance.now()
  const before = done
  await elapse(seconds)
  const perSecond = ((done - before) * 1_000) / (performance.now() - startedMs)
  ends = true
  await Promise.all(writers)
  return { perSecond }
}

async function elapse(forSeconds: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, forSeconds * 1_000)
  })
}
