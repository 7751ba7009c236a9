import {
  ENTRIES_PER_QUESTION_MAX,
  LEAVES_PER_QUESTION_MAX,
  MalformedMessageError,
  MEMBER_VALUES_MAX,
  MEMBERS_MAX,
  PARTITIONS,
  RUMORS_PER_QUESTION_MAX,
  TREE_NODES_PER_QUESTION_MAX,
  type QuestionName,
} from '@grapevine/core'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryWith } from '../../core/test/record/any-entry.ts'
import { FrameCodec } from '../src/index.ts'
import { anyMessages } from './any-message.ts'
import { answer as answerFrame, anyHeader, HEADER, NAMES, question as questionFrame, sha256 } from './frames.ts'

const codec = new FrameCodec(sha256)

it('compares the values of as many members as there may be, also where their names are short', () => {
  const known = Array.from({ length: MEMBERS_MAX * MEMBER_VALUES_MAX }, (_, index) => {
    const owner = Math.floor(index / MEMBER_VALUES_MAX)
      .toString(16)
      .padStart(16, '0')
    return [owner, String.fromCodePoint(0x61 + (index % MEMBER_VALUES_MAX)), 1] as const
  })
  const question = { values: [], digest: 'd'.repeat(8), known }
  const { body } = codec.decodeQuestion(codec.encodeQuestion(HEADER, 'member-values', question))
  expect(body()).toMatchObject({ known: { length: MEMBERS_MAX * MEMBER_VALUES_MAX } })
})

describe.each(NAMES)('%s', (name) => {
  it('asks what was meant', () => {
    const law = fc.property(anyHeader, anyMessages[name].question, (header, question) => {
      const received = codec.decodeQuestion(codec.encodeQuestion(header, name, question))
      expect(received.header).toEqual(header)
      expect(received.name).toBe(name)
      expect(plain(received.body())).toEqual(plain(question))
    })
    fc.assert(law, { numRuns: 50 })
  })

  it('answers what was meant', () => {
    const law = fc.property(anyHeader, anyMessages[name].answer, (header, answer) => {
      const seen: unknown[] = []
      const decoded = codec.decodeAnswer(codec.encodeAnswer(header, name, answer), name, (...told) => seen.push(told))
      expect(plain(decoded)).toEqual(plain(answer))
      expect(seen).toEqual([[header, undefined]])
    })
    fc.assert(law, { numRuns: 50 })
  })

  it('takes nothing else for its question or answer, and fails in one way', () => {
    const law = fc.property(anyRow, (row) => {
      expectMalformedOrStable(name, 'question', row)
      expectMalformedOrStable(name, 'answer', row)
    })
    fc.assert(law, { numRuns: 100 })
  })
})

describe('a message whose fields are wrong', () => {
  const [hash, short, id] = [new Uint8Array(32), new Uint8Array(8), new Uint8Array(8)]
  const member: unknown[] = [id, 'n1', 'h:1', 'http://h:2', '', '1', 0, 1]
  const { envelope } = entryWith()
  const flipped = envelope.slice()
  flipped[envelope.length - 1] = 0
  const [writer, laterWriter] = [new Uint8Array(8).fill(1), new Uint8Array(8).fill(2)]
  const ZERO = [0, 0]
  const vectorsOf = (...rows: readonly [number, unknown][]): unknown => [rows, short]
  const vectors = (...vector: readonly [Uint8Array, ...number[]][]): unknown => vectorsOf([0, vectorRow(...vector)])
  const publication = (known: unknown[], evicted: unknown[], frontier: unknown[]): unknown => [
    [known, evicted],
    [],
    frontier,
    [],
    ZERO,
  ]

  it.each<[string, QuestionName, unknown]>([
    ['too few fields', 'join', [member, id, true]],
    ['too many fields', 'probe', [[], 1]],
    ['an entry that fails its checksum (F17)', 'rumors', [[envelope, flipped], 0]],
    ['an entry that is text', 'rumors', [['entry'], 0]],
    ['more hops than a cluster is wide', 'rumors', [[], 65]],
    ['a negative number', 'rumors', [[], -1]],
    ['a broken number', 'rumors', [[], 0.5]],
    ['a number that is none', 'rumors', [[], Number.NaN]],
    ['a number above what is exact', 'probe', [[member.with(7, 2 ** 53)]]],
    ['a number of 64 bits', 'probe', [[member.with(7, 2n ** 63n)]]],
    ['a state that does not exist', 'probe', [[member.with(6, 4)]]],
    ['a state in words', 'probe', [[member.with(6, 'alive')]]],
    ['a name that is too long', 'probe', [[member.with(1, 'n'.repeat(256))]]],
    ['a name of bytes', 'probe', [[member.with(1, short)]]],
    ['an id that is too short', 'probe', [[member.with(0, new Uint8Array(7))]]],
    ['an id that is empty', 'probe', [[member.with(0, new Uint8Array(0))]]],
    ['a flag that is a number', 'join', [member, 1, []]],
    ['more members than there may be', 'probe', [Array.from({ length: MEMBERS_MAX + 1 }, () => member)]],
    [
      'more entries than there may be',
      'rumors',
      [Array.from({ length: RUMORS_PER_QUESTION_MAX + 1 }, () => envelope), 0],
    ],
    ['a hash that is too long', 'vector-hash', [hash, short, ZERO]],
    ['a partition that does not exist', 'report', [[PARTITIONS], ZERO]],
    ['more partitions than there are', 'report', [Array.from({ length: PARTITIONS + 1 }, () => 0), ZERO]],
    ['a leaf that does not exist', 'leaf-entries', [[65_536]]],
    ['more leaves than there may be', 'leaf-entries', [Array.from({ length: LEAVES_PER_QUESTION_MAX + 1 }, () => 0)]],
    ['a node below the leaves', 'tree-nodes', [hash, ZERO, [[16, 0]]]],
    ['a node between the levels', 'tree-nodes', [hash, ZERO, [[2, 0]]]],
    ['a node beside the tree', 'tree-nodes', [hash, ZERO, [[4, 16]]]],
    [
      'more nodes than there may be',
      'tree-nodes',
      [hash, ZERO, Array.from({ length: TREE_NODES_PER_QUESTION_MAX + 1 }, () => [0, 0])],
    ],
    ['more hashes than there may be', 'inspect', [Array.from({ length: ENTRIES_PER_QUESTION_MAX + 1 }, () => hash)]],
    ['a writer without numbers', 'missed-entries', vectors([writer])],
    ['a range from 0', 'missed-entries', vectors([writer, 0, 1])],
    ['half a range', 'missed-entries', vectors([writer, 1])],
    ['ranges that touch', 'missed-entries', vectors([writer, 1, 2, 3, 4])],
    ['ranges out of order', 'missed-entries', vectors([writer, 5, 6, 1, 2])],
    ['writers out of order', 'missed-entries', vectors([laterWriter, 1, 1], [writer, 1, 1])],
    ['a writer twice', 'missed-entries', vectors([writer, 1, 9], [writer, 1, 1])],
    ['a vector of arrays', 'missed-entries', vectorsOf([0, [[writer, [1, 1]]]])],
    [
      'a vector that claims 2³² numbers',
      'missed-entries',
      vectorsOf([0, Buffer.concat([writer, Buffer.alloc(4, 255)])]),
    ],
    ['a vector that is cut in a writer', 'missed-entries', vectorsOf([0, vectorRow([writer, 1, 1]).subarray(0, 7)])],
    ['a vector that is cut in a number', 'missed-entries', vectorsOf([0, vectorRow([writer, 1, 1]).subarray(0, 23)])],
    [
      'a vector with a byte too many',
      'missed-entries',
      vectorsOf([0, Buffer.concat([vectorRow([writer, 1, 1]), short.subarray(0, 1)])]),
    ],
    ['replicas out of order', 'publish', publication([laterWriter, writer], [], [1, 1])],
    ['a replica twice', 'publish', publication([], [writer, writer], [1, 1])],
    ['a reading beyond its 48 bits', 'publish', publication([], [], [2 ** 48, 0])],
    ['a counter beyond its 16 bits', 'publish', publication([], [], [1, 2 ** 16])],
  ])('is rejected for %s', (_what, name, row) => {
    const received = codec.decodeQuestion(questionFrame(name, row))
    expect(received.header).toEqual(HEADER)
    expect(() => received.body()).toThrow(MalformedMessageError)
  })

  it('is rejected in an answer for a time beyond 48 bits, and taken for the last one within', () => {
    const [run, keyHash] = [Buffer.from(id), hash]
    const outline = (expiresAtMs: number): unknown => [
      [[Buffer.from('b\0k'), [[1, 0], run], keyHash, false, expiresAtMs, '', 0]],
    ]
    const decode = (name: QuestionName, row: unknown) => (): unknown =>
      codec.decodeAnswer(answerFrame(row), name, () => {})
    expect(decode('time', [run, 2 ** 48])).toThrow(MalformedMessageError)
    expect(decode('time', [run, -1])).toThrow(MalformedMessageError)
    expect(decode('time', [run, 2 ** 48 - 1])).not.toThrow()
    expect(decode('inspect', outline(2 ** 48))).toThrow(MalformedMessageError)
    expect(decode('inspect', outline(2 ** 48 - 1))).not.toThrow()
  })

  it('leaves a neighbour alone that differs by nothing but that', () => {
    const rows: [QuestionName, unknown][] = [
      ['join', [member, id, true, []]],
      ['rumors', [[envelope, envelope], 64]],
      ['probe', [[member.with(7, 2 ** 53 - 1)]]],
      ['report', [[PARTITIONS - 1], ZERO]],
      ['leaf-entries', [[65_535]]],
      ['tree-nodes', [hash, ZERO, [[4, 15]]]],
      ['missed-entries', vectors([writer, 1, 2, 4, 2 ** 48 - 1], [laterWriter, 7, 7])],
      ['missed-entries', vectors()],
      ['publish', publication([writer, laterWriter], [writer], [2 ** 48 - 1, 2 ** 16 - 1])],
    ]
    for (const [name, row] of rows) {
      const received = codec.decodeQuestion(questionFrame(name, row))
      expect(() => received.body()).not.toThrow()
    }
  })
})

/** A vector as it travels. */
function vectorRow(...rows: readonly [Uint8Array, ...number[]][]): Buffer {
  const parts = rows.flatMap(([writer, ...ranges]) => {
    const numbers = Buffer.alloc(4 + ranges.length * 6)
    numbers.writeUInt32BE(ranges.length)
    for (const [index, seq] of ranges.entries()) numbers.writeUIntBE(seq, 4 + index * 6, 6)
    return [writer, numbers]
  })
  return Buffer.concat(parts)
}

/** Whatever msgpack can say with the types that we send, with those values in it that fields look for. */
const { row: anyRow } = fc.letrec<{ row: unknown; leaf: unknown }>((tie) => ({
  row: fc.oneof({ maxDepth: 5 }, tie('leaf'), fc.array(tie('row'), { maxLength: 7 })),
  leaf: fc.oneof(
    fc.constantFrom<unknown[]>(null, true, false, 0, 1, 4, 8, 255, 2 ** 48, -1, 0.5, '', 'corrupt'),
    fc.constantFrom(0, 1, 7, 8, 16, 32).map((bytes) => new Uint8Array(bytes)),
    fc.double(),
    fc.string({ maxLength: 3 }),
    fc.constant(entryWith().envelope),
  ),
}))

/** What is taken for a message must be one: it goes out again as a frame that comes back the same. */
function expectMalformedOrStable(name: QuestionName, side: 'question' | 'answer', row: unknown): void {
  const decode = (frame: Uint8Array): unknown =>
    side === 'question' ? codec.decodeQuestion(frame).body() : codec.decodeAnswer(frame, name, () => {})
  let decoded: unknown
  try {
    decoded = decode(side === 'question' ? questionFrame(name, row) : answerFrame(row))
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedMessageError)
    return
  }
  const again =
    side === 'question'
      ? codec.encodeQuestion(HEADER, name, decoded as never)
      : codec.encodeAnswer(HEADER, name, decoded as never)
  expect(decode(again)).toEqual(decoded)
}

/** The same with every view of bytes as a plain array of them, so that a Buffer equals what it holds. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value]
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]))
}
