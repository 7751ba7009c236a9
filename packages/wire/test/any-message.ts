import {
  AWAIT_VERSIONS_MS_MAX,
  byteStringOf,
  COUNTER_MAX,
  ENTRIES_PER_QUESTION_MAX,
  INCARNATION_MAX,
  LEAVES,
  PARTITIONS,
  RUMORS_PER_QUESTION_MAX,
  SEQ_MAX,
  VersionVector,
  WALL_MS_MAX,
  type Answer,
  type EntryDigest,
  type EntryOutline,
  type FrontierGrounds,
  type MemberUpdate,
  type Question,
  type QuestionName,
  type Roster,
  type TreeNode,
  type VectorRows,
} from '@grapevine/core'
import * as fc from 'fast-check'
import { anyAddress, anyEntry, anyHlc, anyId, anyVersion } from '../../core/test/record/any-entry.ts'

export type AnyMessages = {
  readonly [Name in QuestionName]: {
    readonly question: fc.Arbitrary<Question<Name>>
    readonly answer: fc.Arbitrary<Answer<Name>>
  }
}

export const anyClusterId: fc.Arbitrary<string> = fc.tuple(anyId, anyId).map(([upper, lower]) => upper + lower)

const anyCount = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat(),
  fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
)
const anyText = fc.string({ unit: 'binary', maxLength: 30 })
const anyDigest = byteString(32)
const anyShortHash = byteString(8)
const anyPartition = fc.nat(PARTITIONS - 1)
const anyEntries = fc.array(anyEntry, { maxLength: 4 })
const anyEntryOrNone = anyEntries.map((entries) => entries.slice(0, 1))
const anyVersions = fc.array(anyVersion, { maxLength: 1 })
const anyIds = fc.uniqueArray(anyId, { maxLength: 5 }).map((ids) => ids.toSorted())
const anyRoster: fc.Arbitrary<Roster> = fc.record({ known: anyIds, evicted: anyIds })
const anyIndexes = fc.array(fc.nat(RUMORS_PER_QUESTION_MAX - 1), { maxLength: 5 })

const anyDot = fc.record({
  writer: fc.constantFrom('a'.repeat(16), 'b'.repeat(16), '0123456789abcdef'),
  seq: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: SEQ_MAX }), fc.constant(SEQ_MAX)),
})
const anyVector: fc.Arbitrary<VectorRows> = fc.array(anyDot, { maxLength: 20 }).map((dots) => {
  const vector = new VersionVector()
  for (const dot of dots) vector.add(dot)
  return vector.rows()
})
const anyVectors = fc.array(fc.tuple(anyPartition, anyVector), { maxLength: 4 })

const anyMember: fc.Arbitrary<MemberUpdate> = fc.record({
  replica: anyId,
  name: anyText,
  address: anyText,
  clientUrl: anyText,
  zone: anyText,
  version: anyText,
  state: fc.constantFrom('alive', 'suspect', 'dead', 'left'),
  incarnation: fc.integer({ min: 0, max: INCARNATION_MAX }),
})
const anyMembers = fc.array(anyMember, { maxLength: 3 })

const anyNode: fc.Arbitrary<TreeNode> = fc
  .constantFrom(0, 4, 8, 12)
  .chain((depth) => fc.record({ depth: fc.constant(depth), index: fc.nat(2 ** depth - 1) }))
const anyEntryDigest: fc.Arbitrary<EntryDigest> = fc.record({
  keyHash: anyDigest,
  version: anyVersion,
  hash: anyShortHash,
})
const anyOutline: fc.Arbitrary<EntryOutline> = fc.record({
  address: anyAddress,
  version: anyVersion,
  hash: anyDigest,
  tombstone: fc.boolean(),
  expiresAtMs: fc.integer({ min: 0, max: WALL_MS_MAX }),
  contentType: anyText,
  size: anyCount,
})

const anyTotals = fc.record({ values: anyCount, tombstones: anyCount, bytes: anyCount, tombstoneBytes: anyCount })
const anyWallMs = fc.integer({ min: 0, max: WALL_MS_MAX })
const anyGrounds: fc.Arbitrary<FrontierGrounds> = fc.record(
  {
    frontier: anyHlc,
    atMs: anyWallMs,
    takenFrom: fc.oneof(fc.constant('' as const), anyId),
    promises: fc.array(fc.tuple(anyId, anyHlc), { maxLength: 3 }),
    evicted: anyIds,
    union: fc.record({ hash: anyId, writes: anyCount }),
  },
  { requiredKeys: ['frontier', 'atMs', 'takenFrom', 'promises', 'evicted'] },
)

const anyValueName = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/)
const anyMemberValues = fc.array(
  fc.record({
    owner: anyId,
    name: anyValueName,
    revision: anyWallMs,
    contentType: fc.stringMatching(/^[ -~]{0,20}$/),
    value: fc.uint8Array({ maxLength: 40 }),
  }),
  { maxLength: 3 },
)

const nothing = fc.constant({})
const anyUpdates = fc.record({ updates: anyMembers })
const anyMemberList = fc.record({ members: anyMembers })
const anyNotice = fc.record({ takesRumors: fc.boolean() })

/** Every question and answer there is. The compiler misses none. */
export const anyMessages: AnyMessages = {
  hello: {
    question: nothing,
    answer: fc.record({
      cluster: fc.oneof(fc.constant('' as const), anyClusterId),
      replica: fc.oneof(fc.constant('' as const), anyId),
      name: anyText,
      member: fc.boolean(),
      ticket: anyId,
    }),
  },
  join: {
    question: fc.record({
      joiner: anyMember,
      ticket: anyId,
      rebuild: fc.boolean(),
      former: fc.array(anyId, { maxLength: 8 }),
    }),
    answer: fc.record({
      cluster: anyClusterId,
      sponsor: anyId,
      roster: anyRoster,
      clock: anyHlc,
      members: anyMembers,
    }),
  },
  publish: {
    question: fc.record({
      roster: anyRoster,
      folded: anyIds,
      frontier: anyHlc,
      partitions: fc.array(anyShortHash),
      wanted: anyHlc,
    }),
    answer: fc.record({
      roster: anyRoster,
      folded: anyIds,
      frontier: anyHlc,
      promise: fc.oneof(anyHlc, fc.constant({ wallMs: WALL_MS_MAX, counter: COUNTER_MAX })),
      vectors: anyVectors,
      closed: fc.array(anyId),
    }),
  },
  rumors: {
    question: fc.record({ entries: anyEntries, hops: fc.nat(64) }),
    answer: fc.record({ known: anyIndexes, lacking: anyIndexes }),
  },
  forgotten: { question: nothing, answer: nothing },
  'rumor-notice': { question: anyNotice, answer: anyNotice },
  'member-values': {
    question: fc.record({
      values: anyMemberValues,
      digest: anyShortHash,
      known: fc.array(fc.tuple(anyId, anyValueName, anyWallMs), { maxLength: 3 }),
    }),
    answer: fc.record({
      digest: anyShortHash,
      values: anyMemberValues,
      lacking: fc.array(fc.nat(4_095), { maxLength: 3 }),
    }),
  },
  'hot-rumors': { question: nothing, answer: fc.record({ entries: anyEntries }) },
  'vector-hash': {
    question: fc.record({ vector: anyShortHash, roster: anyShortHash, frontier: anyHlc }),
    answer: fc.record({
      sameRoster: fc.boolean(),
      frontier: anyHlc,
      purged: fc.boolean(),
      partitions: fc.array(anyShortHash),
      root: anyDigest,
    }),
  },
  'missed-entries': {
    question: fc.record({ vectors: anyVectors, folded: fc.oneof(anyShortHash, anyIds) }),
    answer: fc.record({
      entries: anyEntries,
      frontier: anyHlc,
      folded: anyIds,
      claims: anyVectors,
      clock: anyHlc,
      acquainted: fc.boolean(),
    }),
  },
  'tree-nodes': {
    question: fc.record({ root: anyDigest, frontier: anyHlc, nodes: fc.array(anyNode) }),
    answer: fc.record({
      frontier: anyHlc,
      children: fc.array(fc.array(anyShortHash, { minLength: 16, maxLength: 16 }), { maxLength: 3 }),
    }),
  },
  'leaf-entries': {
    question: fc.record({ leaves: fc.array(fc.nat(LEAVES - 1)) }),
    answer: fc.record({ leaves: fc.array(fc.array(anyEntryDigest, { maxLength: 3 }), { maxLength: 4 }) }),
  },
  'swap-entries': {
    question: fc.record({ entries: anyEntries, want: fc.array(anyDigest) }),
    answer: fc.record({ entries: anyEntries, taken: anyCount }),
  },
  time: {
    question: fc.record({ run: anyId, address: anyText }),
    answer: fc.record({ run: anyId, wallMs: fc.nat(WALL_MS_MAX) }),
  },
  'held-entry': {
    question: fc.record({ keyHash: anyDigest, vector: anyVector }),
    answer: fc.record({ entries: anyEntries.map((entries) => entries.slice(0, 1)), contains: fc.boolean() }),
  },
  'newest-entry': {
    question: fc.record({ address: anyAddress, held: anyVersions, entries: anyEntryOrNone }),
    answer: fc.record({ readable: fc.boolean(), held: anyVersions, entries: anyEntryOrNone }),
  },
  'sound-leaf': {
    question: fc.record({
      leaf: fc.nat(LEAVES - 1),
      vector: anyVector,
      frontier: anyHlc,
      roster: anyShortHash,
      held: fc.array(anyEntryDigest, { maxLength: 3 }),
    }),
    answer: fc.record({
      sameRoster: fc.boolean(),
      frontier: anyHlc,
      sound: fc.boolean(),
      contains: fc.boolean(),
      vector: anyVector,
      listed: fc.array(anyEntryDigest, { maxLength: 3 }),
      entries: anyEntries,
      purged: fc.array(fc.tuple(anyDigest, anyVersion), { maxLength: 3 }),
    }),
  },
  'await-versions': {
    question: fc.record({
      wanted: fc.array(fc.record({ keyHash: anyDigest, version: anyVersion })),
      waitMs: fc.nat(AWAIT_VERSIONS_MS_MAX),
    }),
    answer: fc.record({
      held: fc.array(fc.record({ index: fc.nat(ENTRIES_PER_QUESTION_MAX - 1), atMs: fc.nat(WALL_MS_MAX) })),
    }),
  },
  probe: { question: anyUpdates, answer: anyUpdates },
  'indirect-probe': {
    question: fc.record({ target: anyId, updates: anyMembers }),
    answer: fc.record({ reached: fc.boolean(), updates: anyMembers }),
  },
  gossip: { question: anyUpdates, answer: anyUpdates },
  'push-pull': { question: anyMemberList, answer: anyMemberList },
  report: {
    question: fc.record({ partitions: fc.array(anyPartition), frontier: anyHlc }),
    answer: fc.record({
      frontier: anyHlc,
      report: fc.record({
        name: anyText,
        root: anyDigest,
        totals: anyTotals,
        hotRumors: anyCount,
        lastExchangeMs: fc
          .oneof(fc.constant(-1), fc.maxSafeNat())
          .map((ms) => Math.min(ms, Number.MAX_SAFE_INTEGER - 1)),
        ready: fc.boolean(),
      }),
      partitions: fc.array(anyShortHash),
      leaves: fc.array(fc.array(anyShortHash), { maxLength: 3 }),
    }),
  },
  tombstones: {
    question: fc.record({ frontier: anyHlc }),
    answer: fc.record({
      totals: anyTotals,
      oldest: anyHlc,
      frontier: anyHlc,
      waits: fc.array(fc.tuple(anyId, anyCount), { maxLength: 3 }),
    }),
  },
  'purge-record': {
    question: fc.record({ keyHash: anyDigest, frontier: anyHlc }),
    answer: fc.record({
      frontier: anyHlc,
      held: fc.oneof(anyOutline, fc.constantFrom('corrupt' as const, null)),
      purged: fc.array(fc.record({ version: anyVersion, expiresAtMs: anyWallMs, purgedAtMs: anyWallMs }), {
        maxLength: 1,
      }),
      grounds: fc.array(anyGrounds, { maxLength: 1 }),
      rememberedSinceMs: anyWallMs,
    }),
  },
  inspect: {
    question: fc.record({ keyHashes: fc.array(anyDigest) }),
    answer: fc.record({ entries: fc.array(fc.oneof(anyOutline, fc.constantFrom('corrupt' as const, null))) }),
  },
}

function byteString(bytes: number): fc.Arbitrary<string> {
  return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(byteStringOf)
}
