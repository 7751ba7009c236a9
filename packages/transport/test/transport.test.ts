import {
  HLC_ZERO,
  byteStringOf,
  bytesOf,
  REFUSALS,
  RefusalError,
  sealEntry,
  UnreachableError,
  type Answer,
  type Entry,
  type MemberUpdate,
  type Peer,
  type Question,
  type Refusal,
} from '@grapevine/core'
import { frameBytesMax, type FrameHeader } from '@grapevine/wire'
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { afterEach, describe, expect, it } from 'vitest'
import type { PeerClient } from '../src/index.ts'
import { ASKED, ASKER, CLUSTER, codec, Network, sha256, STRANGER, type Header } from './nodes.ts'

const ASK_MS = 5_000
/** Long enough for a busy machine. Nothing waits for it that goes as it should. */
const DEADLINE_MS = 10_000

const network = new Network()
afterEach(() => network.close())

const member: MemberUpdate = {
  replica: ASKER,
  name: 'n1',
  address: '127.0.0.1:7701',
  clientUrl: 'http://127.0.0.1:7700',
  zone: '',
  version: '0.1.0',
  state: 'alive',
  incarnation: 1,
}
const echoUpdates = { probe: ({ updates }: Question<'probe'>): Answer<'probe'> => ({ updates }) }
const NO_UPDATES = { updates: [] }

describe('asking', () => {
  it('brings the question there and the answer back, in every conversation', async () => {
    const entry = entryOf('carried', 'value')
    const { peer } = await network.node({
      answers: {
        ...echoUpdates,
        hello: () => ({ cluster: CLUSTER, replica: ASKED, name: 'n2', member: true, ticket: ASKED }),
        rumors: ({ entries, hops }) => ({ known: entries.map((_, index) => index), lacking: [hops] }),
        'swap-entries': ({ entries, want }) => ({ entries: want.length === 0 ? [] : entries, taken: entries.length }),
        'missed-entries': ({ vectors }) => ({
          entries: [],
          claims: vectors,
          clock: { wallMs: 2 ** 48 - 1, counter: 3 },
          frontier: HLC_ZERO,
          folded: [],
          acquainted: true,
        }),
      },
    })
    const client = network.client()
    expect(await client.ask(peer, 'hello', {}, ASK_MS)).toMatchObject({ name: 'n2', member: true, ticket: ASKED })
    expect(await client.ask(peer, 'rumors', { entries: [entry], hops: 2 }, ASK_MS)).toEqual({
      known: [0],
      lacking: [2],
    })
    expect(await client.ask(peer, 'probe', { updates: [member] }, ASK_MS)).toEqual({ updates: [member] })
    const swapped = await client.ask(peer, 'swap-entries', { entries: [entry], want: [entry.keyHash] }, ASK_MS)
    expect(swapped.taken).toBe(1)
    expect(
      swapped.entries.map(({ address, hash, value }) => [address, hash, byteStringOf(value ?? bytesOf(''))]),
    ).toEqual([[entry.address, entry.hash, 'value']])
    const vectors = [[7, [[ASKED, [1, 4, 6, 6]]]]] as const
    expect(await client.ask(peer, 'missed-entries', { vectors, folded: [] }, ASK_MS)).toMatchObject({ claims: vectors })
  })

  it('tells the asked who asks whom and what', async () => {
    const judged: Header[] = []
    const { peer } = await network.node({
      answers: { probe: (_, header) => ({ updates: [{ ...member, name: header.from }] }) },
      judge: (header) => {
        judged.push(header)
        return undefined
      },
    })
    const client = network.client()
    expect(await client.ask(peer, 'probe', NO_UPDATES, ASK_MS)).toMatchObject({ updates: [{ name: ASKER }] })
    await client.ask(peer, 'probe', NO_UPDATES, ASK_MS)
    const common = { cluster: CLUSTER, from: ASKER, to: ASKED, name: 'probe' }
    expect(judged).toEqual([
      { ...common, request: 1 },
      { ...common, request: 2 },
    ])
  })

  it('an address of which nobody knows who lives there takes whoever answers', async () => {
    const answers = {
      hello: () => ({ cluster: 'e'.repeat(32), replica: STRANGER, name: 'n9', member: true, ticket: ASKED }),
    }
    const { peer } = await network.node({ answers, cluster: 'e'.repeat(32), replica: STRANGER })
    const answer = await network.client('', '').ask({ ...peer, replica: '' }, 'hello', {}, ASK_MS)
    expect(answer).toMatchObject({ replica: STRANGER })
  })

  it('200 times at once gives each asker its own answer', async () => {
    const { peer } = await network.node({ answers: echoUpdates })
    const client = network.client()
    const numbers = Array.from({ length: 200 }, (_, index) => index)
    const answers = await Promise.all(
      numbers.map((incarnation) => client.ask(peer, 'probe', { updates: [{ ...member, incarnation }] }, DEADLINE_MS)),
    )
    expect(answers.map(({ updates }) => updates[0]?.incarnation)).toEqual(numbers)
  })

  it('goes on when the peer was restarted', async () => {
    const first = await network.node({ answers: echoUpdates })
    const client = network.client()
    await client.ask(first.peer, 'probe', NO_UPDATES, ASK_MS)
    await first.server.close()
    await network.node({ answers: echoUpdates, port: first.server.port })
    const outcomes = [await outcomeOf(client, first.peer), await outcomeOf(client, first.peer)]
    // The first may have gone out on a connection whose end had not been heard of yet.
    expect(outcomes.at(-1)).toBe('answered')
  })
})

describe('no answer', () => {
  it('is a time-out when the peer thinks for too long, and the next question is answered', async () => {
    let finish: (() => void) | undefined
    const { peer } = await network.node({
      answers: {
        ...echoUpdates,
        hello: () =>
          new Promise((resolve) => {
            finish = () => resolve({ cluster: '', replica: '', name: '', member: false, ticket: ASKED })
          }),
      },
    })
    const client = network.client()
    expect(await outcomeOfAsking(client.ask(peer, 'hello', {}, 50))).toBe('timeout')
    expect(await outcomeOf(client, peer)).toBe('answered')
    finish?.()
  })

  it('does not hold probes up, however much waits, and is a time-out also while it waits for a connection', async () => {
    const answered = Promise.withResolvers<void>()
    const { peer } = await network.node({
      answers: {
        ...echoUpdates,
        'hot-rumors': async () => {
          await answered.promise
          return { entries: [] }
        },
      },
    })
    const client = network.client()
    const waiting = Array.from({ length: 8 }, () => client.ask(peer, 'hot-rumors', {}, DEADLINE_MS))
    await expect(client.ask(peer, 'probe', NO_UPDATES, ASK_MS)).resolves.toEqual(NO_UPDATES)
    const startedMs = performance.now()
    expect(await outcomeOfAsking(client.ask(peer, 'hot-rumors', {}, 50))).toBe('timeout')
    expect(performance.now() - startedMs).toBeLessThan(ASK_MS)
    answered.resolve()
    await Promise.all(waiting)
  })

  it('is a time-out when the answer stops in the middle', async () => {
    const peer = await network.rawPeer((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'))
    })
    expect(await outcomeOf(network.client(), peer, 100)).toBe('timeout')
  })

  it('is a time-out when the peer accepts and says nothing', async () => {
    const peer = await network.rawPeer(() => {})
    expect(await outcomeOf(network.client(), peer, 100)).toBe('timeout')
  })

  it('is a refusal to connect when nobody listens there: nothing was heard', async () => {
    const { peer, server } = await network.node()
    await server.close()
    expect(await outcomeOf(network.client(), peer)).toBe('refused')
  })

  it.each(['', 'no port', '127.0.0.1:99999', '127.0.0.1:1/path?', 'http://127.0.0.1:1'])(
    'comes from the address %j, which is none, and it is an error as any other',
    async (address) => {
      const outcome = await outcomeOf(network.client(), { replica: ASKED, address })
      expect(['refused', 'broken']).toContain(outcome)
    },
  )

  it('is broken when the connection ends under the question', async () => {
    const peer = await network.rawPeer((socket) => socket.once('data', () => socket.destroy()))
    expect(await outcomeOf(network.client(), peer)).toBe('broken')
  })

  it('is broken when the peer closes while it is asked, and closing does not wait for the answer', async () => {
    const arrived = signal()
    const { peer, server } = await network.node({
      answers: {
        hello: () => {
          arrived.happened()
          return new Promise(() => {})
        },
      },
    })
    const outcome = outcomeOfAsking(network.client().ask(peer, 'hello', {}, DEADLINE_MS))
    await arrived.promise
    expect(await millisecondsOf(() => server.close())).toBeLessThan(2_000)
    expect(await outcome).toBe('broken')
  })

  it('is broken when the asker closes meanwhile', async () => {
    const arrived = signal()
    const peer = await network.rawPeer((socket) => socket.once('data', arrived.happened))
    const client = network.client()
    const outcome = outcomeOf(client, peer, DEADLINE_MS)
    await arrived.promise
    await client.close()
    expect(await outcome).toBe('broken')
  })

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['garbage', Buffer.alloc(300, 1)],
    ['more than a frame may hold', Buffer.alloc(frameBytesMax(1_024) + 1)],
  ])('is broken when the peer sends %s', async (_what, body) => {
    const peer = await network.httpPeer(() => body)
    expect(await outcomeOf(network.client(), peer)).toBe('broken')
  })

  it('is broken when the answer is larger than the peer may make it', async () => {
    const large = entryOf('large', 'x'.repeat(frameBytesMax(1_024)))
    const peer = await network.httpPeer((frame) => {
      const { header } = codec.decodeQuestion(frame)
      const back = { cluster: CLUSTER, from: ASKED, to: header.from, request: header.request }
      return codec.encodeAnswer(back, 'hot-rumors', { entries: [large] })
    })
    expect(await outcomeOfAsking(network.client().ask(peer, 'hot-rumors', {}, ASK_MS))).toBe('broken')
  })

  it('is broken when there is another answer than to this question', async () => {
    const peer = await network.httpPeer((frame) => {
      const { header } = codec.decodeQuestion(frame)
      const back = { cluster: CLUSTER, from: ASKED, to: header.from, request: header.request }
      return codec.encodeAnswer(back, 'rumors', { known: [], lacking: [] })
    })
    expect(await outcomeOf(network.client(), peer)).toBe('broken')
  })
})

describe('an answer of somebody else (F28)', () => {
  it('is broken when another replica lives at the address now', async () => {
    const { peer } = await network.node({ answers: echoUpdates, replica: STRANGER })
    expect(await outcomeOf(network.client(), peer)).toBe('broken')
  })

  it('is broken when it is of another cluster', async () => {
    const { peer } = await network.node({ answers: echoUpdates, cluster: 'e'.repeat(32) })
    expect(await outcomeOf(network.client(), peer)).toBe('broken')
  })

  it.each<[string, Partial<FrameHeader>, string]>([
    ['the answer to it', {}, 'answered'],
    ['to a question asked before', { request: 0 }, 'broken'],
    ['to somebody else', { to: STRANGER }, 'broken'],
    ['to whoever it is', { to: '' }, 'answered'],
    ['of a replica without an id', { from: '' }, 'broken'],
  ])('%s has the right outcome', async (_what, differences, outcome) => {
    const peer = await network.httpPeer((frame) => {
      const { header } = codec.decodeQuestion(frame)
      const back = { cluster: CLUSTER, from: ASKED, to: header.from, request: header.request, ...differences }
      return codec.encodeAnswer(back, 'probe', { updates: [] })
    })
    expect(await outcomeOf(network.client(), peer)).toBe(outcome)
  })

  it.each<[Refusal, string]>([
    ['wrong-replica', 'wrong-replica'],
    ['wrong-cluster', 'wrong-cluster'],
    ['not-founded', 'not-founded'],
    ['evicted', 'broken'],
    ['not-introduced', 'broken'],
    ['busy', 'broken'],
  ])('that refuses with %s is %s: a stranger says only who he is', async (code, outcome) => {
    const { peer } = await network.node({ judge: () => code, replica: STRANGER })
    expect(await outcomeOf(network.client(), peer)).toBe(outcome)
  })

  it('that refuses another question is broken', async () => {
    const peer = await network.httpPeer(() => {
      const back = { cluster: CLUSTER, from: ASKED, to: ASKER, request: 99 }
      return codec.encodeRefusal(back, new RefusalError('evicted', 'you'))
    })
    expect(await outcomeOf(network.client(), peer)).toBe('broken')
  })
})

describe('a refusal', () => {
  it.each(REFUSALS)('comes through as %s, from the judge and from whoever answers', async (code) => {
    const answers = {
      hello: () => {
        throw new RefusalError(code, 'because')
      },
    }
    const judge = ({ name }: Header): Refusal | undefined => (name === 'probe' ? code : undefined)
    const { peer } = await network.node({ answers, judge })
    const client = network.client()
    expect(await outcomeOf(client, peer)).toBe(code)
    await expect(client.ask(peer, 'hello', {}, ASK_MS)).rejects.toThrow('because')
  })

  it('is "failed" when the one who answers fails, and the log says so', async () => {
    const { peer, logged } = await network.node()
    expect(await outcomeOf(network.client(), peer)).toBe('failed')
    expect(logged).toEqual(['question-not-answered'])
  })

  it('comes before the body is looked at', async () => {
    const header = { cluster: CLUSTER, from: ASKER, to: ASKED, request: 1 }
    const frame = codec.encodeQuestion(header, 'probe', { updates: [{ ...member, name: 'n'.repeat(256) }] })
    const strict = await network.node({ judge: () => 'evicted' })
    expect(await refusalOf(await post(strict.url, frame))).toBe('evicted')
    const open = await network.node({ answers: echoUpdates })
    expect(await refusalOf(await post(open.url, frame))).toBe('malformed')
  })
})

describe('the peer port', () => {
  it('turns away what is not a frame', async () => {
    const { url, peer, logged } = await network.node({ answers: echoUpdates })
    expect((await post(url, Buffer.alloc(0))).status).toBe(400)
    expect((await post(url, Buffer.alloc(1_000, 7))).status).toBe(400)
    expect(logged).toEqual(['malformed-frame', 'malformed-frame'])
    expect((await post(url, Buffer.alloc(10), 'application/json')).status).toBe(415)
    expect((await fetch(`${url}/v1/peer/probe`)).status).toBe(404)
    expect((await fetch(`${url}/v1/kv/things/a`)).status).toBe(404)
    expect(await outcomeOf(network.client(), peer)).toBe('answered')
  })

  it('does not read a question that is too large', async () => {
    const { peer, url } = await network.node({
      answers: { ...echoUpdates, rumors: () => ({ known: [], lacking: [] }) },
    })
    const client = network.client()
    const entries = [entryOf('large', 'x'.repeat(frameBytesMax(1_024)))]
    expect(await outcomeOfAsking(client.ask(peer, 'rumors', { entries, hops: 0 }, ASK_MS))).toBe('broken')
    expect((await post(url, Buffer.alloc(frameBytesMax(1_024) + 1))).status).toBe(413)
    expect(await outcomeOf(client, peer)).toBe('answered')
  })

  it('cuts off who sends a body slowly (F46)', async () => {
    const node = await network.node({ answers: echoUpdates, requestTimeoutMs: 300 })
    const socket = await network.socketSaying(`${headLines(100)}\r\n12345`, node)
    await endOf(socket)
    expect(await outcomeOf(network.client(), node.peer)).toBe('answered')
  })

  it('cuts off who sends headers slowly, without being told to', async () => {
    const node = await network.node({ answers: echoUpdates })
    await endOf(await network.socketSaying(headLines(100), node))
    expect(await outcomeOf(network.client(), node.peer)).toBe('answered')
  }, 15_000)

  it('closes at once, though connections are kept alive', async () => {
    const node = await network.node({ answers: echoUpdates })
    const clients = [network.client(), network.client()]
    for (const client of clients) expect(await outcomeOf(client, node.peer)).toBe('answered')
    const idle = await network.socketSaying('', node)
    const waiting = await network.socketSaying(headLines(100), node)
    expect(await millisecondsOf(() => node.server.close())).toBeLessThan(2_000)
    await Promise.all([endOf(idle), endOf(waiting)])
    expect(await outcomeOf(network.client(), node.peer)).toBe('refused')
  })
})

function entryOf(key: string, value: string): Entry {
  const address = `things\0${key}`
  return sealEntry(
    {
      address,
      keyHash: sha256.sha256(bytesOf(address)),
      version: { hlc: { wallMs: 1_000, counter: 0 }, replica: ASKER },
      dot: { writer: ASKER, seq: 1 },
      expiresAtMs: 0,
      contentType: 'text/plain',
      value: bytesOf(value),
    },
    sha256,
  )
}

/** `answered`, or the code of what came instead. */
async function outcomeOfAsking(asking: Promise<unknown>): Promise<string> {
  try {
    await asking
    return 'answered'
  } catch (error) {
    if (error instanceof UnreachableError || error instanceof RefusalError) return error.code
    throw error
  }
}

function outcomeOf(client: PeerClient, peer: Peer, timeoutMs = ASK_MS): Promise<string> {
  return outcomeOfAsking(client.ask(peer, 'probe', NO_UPDATES, timeoutMs))
}

function post(url: string, frame: Uint8Array, type = 'application/vnd.msgpack'): Promise<Response> {
  return fetch(`${url}/v1/peer/probe`, { method: 'POST', headers: { 'content-type': type }, body: Buffer.from(frame) })
}

async function refusalOf(response: Response): Promise<string> {
  const frame = new Uint8Array(await response.arrayBuffer())
  return outcomeOfAsking(Promise.try(() => codec.decodeAnswer(frame, 'probe', () => {})))
}

/** All of a question's head but the empty line that ends it. */
function headLines(bodyBytes: number): string {
  const lines = ['POST /v1/peer/probe HTTP/1.1', 'host: peer', 'content-type: application/vnd.msgpack']
  return [...lines, `content-length: ${bodyBytes}`, ''].join('\r\n')
}

/** Settles when the other side has ended the connection. */
async function endOf(socket: Socket): Promise<void> {
  const closed = new Promise<'closed'>((resolve) => {
    if (socket.closed) resolve('closed')
    socket.once('close', () => resolve('closed'))
    socket.resume()
  })
  const late = new Promise<'still open'>((resolve) => {
    setTimeout(() => resolve('still open'), DEADLINE_MS).unref()
  })
  expect(await Promise.race([closed, late])).toBe('closed')
}

async function millisecondsOf(run: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await run()
  return performance.now() - startedAt
}

function signal(): { readonly promise: Promise<void>; readonly happened: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { promise, happened: () => resolve() }
}
