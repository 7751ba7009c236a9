import {
  ENTRIES_PER_QUESTION_MAX,
  hexOf,
  LEAVES_PER_PARTITION,
  LEAVES_PER_QUESTION_MAX,
  MalformedMessageError,
  MEMBERS_MAX,
  PARTITIONS,
  PEER_FRAME_BYTES_MAX,
  REFUSALS,
  RefusalError,
  RUMORS_PER_QUESTION_MAX,
  TREE_NODES_PER_QUESTION_MAX,
  VALUE_BYTES_MAX_LIMIT,
  type MemberUpdate,
  type QuestionName,
} from '@grapevine/core'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryWith } from '../../core/test/record/any-entry.ts'
import { FrameCodec, frameBytesMax, type FrameHeader } from '../src/index.ts'
import { anyMessages } from './any-message.ts'
import { answer, anyHeader, HEADER, HEADER_ROW, NAMES, packed, question, resealed, sealed, sha256 } from './frames.ts'

const codec = new FrameCodec(sha256)
const id = 'a'.repeat(16)
const digest = 'd'.repeat(32)
const member: MemberUpdate = {
  replica: id,
  name: 'n1',
  address: '10.0.0.1:7701',
  clientUrl: 'http://10.0.0.1:7700',
  zone: '',
  version: '0.1.0',
  state: 'alive',
  incarnation: 3,
}
const swap = codec.encodeQuestion(HEADER, 'swap-entries', { entries: [entryWith()], want: [digest] })
const probeAnswer = codec.encodeAnswer(HEADER, 'probe', { updates: [member] })

describe('a frame', () => {
  it('with any bit flipped is malformed (F32)', () => {
    for (const flipped of everyFlipOf(swap)) expectMalformed(() => codec.decodeQuestion(flipped))
    for (const flipped of everyFlipOf(probeAnswer)) expectMalformed(() => codec.decodeAnswer(flipped, 'probe', ignore))
  })

  it('cut anywhere, or with bytes too many, is malformed', () => {
    for (let end = 0; end < swap.length; end++) expectMalformed(() => codec.decodeQuestion(swap.subarray(0, end)))
    for (let end = 0; end < probeAnswer.length; end++)
      expectMalformed(() => codec.decodeAnswer(probeAnswer.subarray(0, end), 'probe', ignore))
    expectMalformed(() => codec.decodeQuestion(Buffer.concat([swap, Buffer.alloc(1)])))
  })

  it('of random bytes is malformed, with a checksum and without', () => {
    const law = fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 100 }), (head, body) => {
      expectMalformed(() => codec.decodeQuestion(head))
      expectMalformed(() => codec.decodeQuestion(sealed(head, body)))
      expectMalformed(() => codec.decodeAnswer(sealed(head, body), 'probe', ignore))
    })
    fc.assert(law, { numRuns: 1_000 })
  })

  it('that a bug changed before the checksum was made is read or malformed, and nothing else', () => {
    const outcomes = new Set<string>()
    for (const name of NAMES) {
      const [asked] = fc.sample(anyMessages[name].question, { numRuns: 1, seed: 1 })
      const frame = codec.encodeQuestion(HEADER, name, asked as never)
      for (const flipped of everyFlipOf(frame, 1_500))
        outcomes.add(outcomeOf(() => codec.decodeQuestion(resealed(flipped)).body()))
    }
    expect([...outcomes].toSorted()).toEqual(['MalformedMessageError', 'read'])
  })

  it('lies wherever it may in a larger buffer', () => {
    const larger = Buffer.concat([Buffer.alloc(5, 1), swap, Buffer.alloc(3, 1)])
    const received = codec.decodeQuestion(larger.subarray(5, 5 + swap.length))
    expect(received.header).toEqual(HEADER)
    expect(received.body()).toMatchObject({ want: [digest] })
  })

  it.each<[string, Buffer]>([
    ['another protocol', sealed(packed([2, HEADER_ROW, 'probe']), packed([[]]))],
    ['the protocol before the first', sealed(packed([0, HEADER_ROW, 'probe']), packed([[]]))],
    ['a head of two parts', sealed(packed([1, HEADER_ROW]), packed([[]]))],
    ['a head that is no array', sealed(packed('probe'), packed([[]]))],
    ['a head that is longer than the frame', sealed(packed([1, HEADER_ROW, 'probe']), packed([[]]), 65_535)],
    ['a head that says it is longer, and no body', sealed(packed([1, HEADER_ROW, 'probe']), Buffer.alloc(0), 65_535)],
    ['a head that is shorter than it says', sealed(packed([1, HEADER_ROW, 'probe']), packed([[]]), 20)],
    ['no such question', question('drop-table', [[]])],
    ['a question that every object has', question('constructor', [[]])],
    ['a question that is no text', sealed(packed([1, HEADER_ROW, 7]), packed([[]]))],
    ['a sender whose id is too short', sealed(packed([1, [...HEADER_ROW].with(1, Buffer.alloc(7)), 'probe']))],
    ['a cluster whose id is too short', sealed(packed([1, [...HEADER_ROW].with(0, Buffer.alloc(8)), 'probe']))],
    ['a request without a number', sealed(packed([1, [...HEADER_ROW].with(3, null), 'probe']))],
    ['a request beyond its 48 bits', sealed(packed([1, [...HEADER_ROW].with(3, 2 ** 48 + 1), 'probe']))],
    ['a header of three fields', sealed(packed([1, HEADER_ROW.slice(1), 'probe']))],
  ])('with %s is malformed', (_what, frame) => {
    expectMalformed(() => codec.decodeQuestion(frame))
  })
})

describe('a question', () => {
  it('can be judged by its header, whatever its body is', () => {
    const bodies = [
      packed('nonsense'),
      Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]),
      Buffer.alloc(0),
      Buffer.from([0xc1]),
    ]
    for (const body of bodies) {
      const received = codec.decodeQuestion(sealed(packed([1, HEADER_ROW, 'probe']), body))
      expect([received.header, received.name]).toEqual([HEADER, 'probe'])
      expectMalformed(received.body)
    }
  })
})

describe('an answer', () => {
  it('shows its header before its body is read, so that one to another question is known', () => {
    const law = fc.property(anyHeader, (header) => {
      const frame = codec.encodeAnswer(header, 'probe', { updates: [member] })
      const seen: unknown[] = []
      codec.decodeAnswer(frame, 'probe', (...told) => void seen.push(told))
      expect(seen).toEqual([[header, undefined]])
    })
    fc.assert(law)
    const another = new Error('another question')
    const refuse = ({ request }: FrameHeader): void => {
      if (request !== 8) throw another
    }
    expect(() => codec.decodeAnswer(answer('nonsense'), 'probe', refuse)).toThrow(another)
    expectMalformed(() => codec.decodeAnswer(answer('nonsense'), 'probe', ignore))
    expectMalformed(() => codec.decodeAnswer(answer([[]]), 'swap-entries', ignore))
  })

  it.each(REFUSALS)('may be the refusal %s', (code) => {
    const frame = codec.encodeRefusal(HEADER, new RefusalError(code, 'because'))
    const seen: unknown[] = []
    const refused = errorOf(() => codec.decodeAnswer(frame, 'probe', (...told) => void seen.push(told)))
    expect(refused).toBeInstanceOf(RefusalError)
    expect(refused).toMatchObject({ code, message: 'because' })
    expect(seen).toEqual([[HEADER, code]])
  })

  it('that refuses is cut to a length that can be read, wherever a character ends', () => {
    const law = fc.property(fc.nat(3), fc.constantFrom('x', 'é', '漢', '😀', '\u{d83d}'), (offset, character) => {
      const message = 'x'.repeat(offset) + character.repeat(2_500)
      const frame = codec.encodeRefusal(HEADER, new RefusalError('failed', message))
      const refused = errorOf(() => codec.decodeAnswer(frame, 'probe', ignore))
      expect(refused).toMatchObject({ name: 'RefusalError', code: 'failed' })
    })
    fc.assert(law)
  })

  it('that refuses with a code that does not exist is malformed', () => {
    const row = [REFUSALS.length, 'because']
    expectMalformed(() => codec.decodeAnswer(sealed(packed([1, HEADER_ROW, row])), 'probe', ignore))
    expectMalformed(() => codec.decodeAnswer(sealed(packed([1, HEADER_ROW, 'busy'])), 'probe', ignore))
  })
})

describe('the largest that a replica may send', () => {
  const many = <T>(count: number, item: (index: number) => T): T[] =>
    Array.from({ length: count }, (_, index) => item(index))
  const ids = (count: number): string[] => many(count, (index) => index.toString(16).padStart(16, '0'))
  const short = '12345678'
  const version = { hlc: { wallMs: 1, counter: 1 }, replica: id }
  const vectors = (
    writers: number,
  ): readonly (readonly [number, readonly (readonly [string, readonly number[]])[]])[] =>
    many(PARTITIONS, (partition) => [partition, ids(writers).map((writer) => [writer, [1, 1]] as const)] as const)
  const outline = { address: 'b\0k', version, hash: digest, tombstone: true, expiresAtMs: 0, contentType: '', size: 0 }
  const report = {
    name: '',
    root: digest,
    totals: { values: 0, tombstones: 0, bytes: 0, tombstoneBytes: 0 },
    hotRumors: 0,
    lastExchangeMs: -1,
    ready: true,
  }
  const brief: MemberUpdate = { ...member, name: 'n', address: 'h:1', clientUrl: 'http://h:1', version: '1' }

  const frontier = version.hlc
  const asking = { folded: short }
  const answering = { entries: [], frontier, folded: ids(1_000), clock: frontier, acquainted: true }

  it.each<[string, QuestionName, unknown]>([
    ['256 empty vectors', 'missed-entries', { vectors: vectors(0), ...asking }],
    ['256 vectors of a few writers', 'missed-entries', { vectors: vectors(3), ...asking }],
    ['256 vectors of many writers', 'missed-entries', { vectors: vectors(280), ...asking }],
    [
      'tree nodes',
      'tree-nodes',
      { root: digest, frontier, nodes: many(TREE_NODES_PER_QUESTION_MAX, () => ({ depth: 0, index: 0 })) },
    ],
    ['leaves', 'leaf-entries', { leaves: many(LEAVES_PER_QUESTION_MAX, (index) => index) }],
    ['wanted hashes', 'swap-entries', { entries: [], want: many(ENTRIES_PER_QUESTION_MAX, () => digest) }],
    [
      'smallest entries',
      'rumors',
      { entries: many(RUMORS_PER_QUESTION_MAX, () => entryWith({ value: undefined })), hops: 0 },
    ],
    ['members', 'push-pull', { members: many(MEMBERS_MAX, () => brief) }],
    [
      'rosters',
      'publish',
      {
        roster: { known: ids(65_536), evicted: ids(65_536) },
        folded: ids(65_536),
        frontier,
        partitions: many(PARTITIONS, () => short),
        wanted: frontier,
      },
    ],
    ['partitions', 'report', { partitions: many(PARTITIONS, (partition) => partition), frontier }],
    ['key hashes', 'inspect', { keyHashes: many(ENTRIES_PER_QUESTION_MAX, () => digest) }],
  ])('is taken when it asks: %s', (_what, name, largest) => {
    const frame = codec.encodeQuestion(HEADER, name, largest as never)
    expect(codec.decodeQuestion(frame).body()).toBeTypeOf('object')
  })

  it.each<[string, QuestionName, unknown]>([
    ['256 vectors of a few writers', 'missed-entries', { ...answering, claims: vectors(3) }],
    ['256 vectors of many writers', 'missed-entries', { ...answering, claims: vectors(280) }],
    ['indexes', 'rumors', { known: many(1_024, (index) => index), lacking: many(1_024, (index) => index) }],
    [
      'partition hashes',
      'vector-hash',
      {
        sameRoster: true,
        frontier,
        purged: true,
        partitions: many(PARTITIONS, () => short),
        root: digest,
      },
    ],
    ['children', 'tree-nodes', { frontier, children: many(TREE_NODES_PER_QUESTION_MAX, () => many(16, () => short)) }],
    ['empty leaves', 'leaf-entries', { leaves: many(LEAVES_PER_QUESTION_MAX, () => []) }],
    [
      'leaves of one entry',
      'leaf-entries',
      { leaves: many(LEAVES_PER_QUESTION_MAX, () => [{ keyHash: digest, version, hash: short }]) },
    ],
    ['a full leaf', 'leaf-entries', { leaves: [many(8_000, () => ({ keyHash: digest, version, hash: short }))] }],
    [
      'all leaf hashes',
      'report',
      {
        report,
        frontier,
        partitions: many(PARTITIONS, () => short),
        leaves: many(PARTITIONS, () => many(LEAVES_PER_PARTITION, () => short)),
      },
    ],
    ['outlines', 'inspect', { entries: many(ENTRIES_PER_QUESTION_MAX, () => outline) }],
    ['keys that nobody holds', 'inspect', { entries: many(ENTRIES_PER_QUESTION_MAX, () => null) }],
    ['corrupt rows', 'inspect', { entries: many(ENTRIES_PER_QUESTION_MAX, () => 'corrupt') }],
  ])('is taken when it answers: %s', (_what, name, largest) => {
    const frame = codec.encodeAnswer(HEADER, name, largest as never)
    expect(codec.decodeAnswer(frame, name, ignore)).toBeTypeOf('object')
  })

  it('is one value of the largest permitted size', () => {
    const value = new Uint8Array(VALUE_BYTES_MAX_LIMIT)
    const frame = codec.encodeQuestion(HEADER, 'rumors', { entries: [entryWith({ value })], hops: 0 })
    expect(frame.length).toBeLessThanOrEqual(frameBytesMax(VALUE_BYTES_MAX_LIMIT))
    expect(frameBytesMax(1)).toBeGreaterThanOrEqual(PEER_FRAME_BYTES_MAX)
    expect(codec.decodeQuestion(frame).body()).toMatchObject({ entries: [{ address: entryWith().address }] })
  })
})

describe('the checksum of a frame', () => {
  it('is the beginning of the SHA-256 of all that follows', () => {
    expect(swap.subarray(0, 8).toString('hex')).toBe(hexOf(sha256.sha256(swap.subarray(8))).slice(0, 16))
  })
})

function ignore(): void {}

function* everyFlipOf(frame: Buffer, bitsMax: number = Number.MAX_SAFE_INTEGER): Generator<Buffer> {
  for (let bit = 0; bit < Math.min(frame.length * 8, bitsMax); bit++) {
    const flipped = Buffer.from(frame)
    flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
    yield flipped
  }
}

function errorOf(run: () => unknown): unknown {
  try {
    run()
    return undefined
  } catch (error) {
    return error
  }
}

function outcomeOf(run: () => unknown): string {
  const error = errorOf(run)
  return error === undefined ? 'read' : error instanceof Error ? error.name : 'no error at all'
}

function expectMalformed(run: () => unknown): void {
  expect(errorOf(run)).toBeInstanceOf(MalformedMessageError)
}
