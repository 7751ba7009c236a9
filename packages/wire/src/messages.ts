import {
  AWAIT_VERSIONS_MS_MAX,
  CONTENT_TYPE_BYTES_MAX,
  ENTRIES_PER_QUESTION_MAX,
  FORMER_IDS_MAX,
  isAddress,
  isMemberValueName,
  LEAVES,
  LEAVES_PER_PARTITION,
  LEAVES_PER_QUESTION_MAX,
  MEMBER_VALUE_BYTES_MAX,
  MEMBER_VALUES_MAX,
  MEMBER_VALUES_PER_MESSAGE_MAX,
  MEMBERS_MAX,
  openEnvelope,
  PARTITIONS,
  REVISION_MAX,
  RUMORS_PER_QUESTION_MAX,
  TREE_NODES_PER_QUESTION_MAX,
  WALL_MS_MAX,
  type Address,
  type Answer,
  type Entry,
  type EntryDigest,
  type EntryOutline,
  type FrontierGrounds,
  type Hash,
  type MemberUpdate,
  type MemberValue,
  type Partition,
  type PurgeRecord,
  type Question,
  type QuestionName,
  type ReplicaReport,
  type Roster,
  type Totals,
  type TreeNode,
  type VectorRows,
} from '@grapevine/core'
import {
  byteString,
  bytes,
  clusterId,
  clusterIdOrNone,
  count,
  countOrNone,
  fields,
  flag,
  hlc,
  id,
  idOrNone,
  list,
  malformed,
  oneOf,
  pair,
  text,
  version,
  type Codec,
} from './fields.ts'
import { vector } from './vector-codec.ts'

export type MessageCodecs = {
  readonly [Name in QuestionName]: { readonly question: Codec<Question<Name>>; readonly answer: Codec<Answer<Name>> }
}

type WantedVersion = Question<'await-versions'>['wanted'][number]
type HeldVersion = Answer<'await-versions'>['held'][number]

/** K and E keep all who ever were members. */
const ROSTER_MAX = 65_536

/** Every question and answer of {@link Conversations}, field by field. */
export function messageCodecs(hash: Hash): MessageCodecs {
  const digest = byteString(32)
  const shortHash = byteString(8)
  const partition = count(PARTITIONS - 1)
  const leaf = count(LEAVES - 1)

  const entry: Codec<Entry> = {
    encode: ({ envelope }) => envelope,
    decode: (row) => {
      const opened = openEnvelope(bytes.decode(row), hash)
      if (opened === undefined) throw malformed('an entry fails its checksum')
      return opened
    },
  }
  const entries = list(entry, RUMORS_PER_QUESTION_MAX)
  const vectors: Codec<readonly (readonly [Partition, VectorRows])[]> = list(pair(partition, vector), PARTITIONS)
  const replicas: Codec<readonly string[]> = {
    encode: list(id, ROSTER_MAX).encode,
    decode: (row) => {
      const decoded = list(id, ROSTER_MAX).decode(row)
      if (!areAscending(decoded)) throw malformed('replicas out of order')
      return decoded
    },
  }
  const roster = fields<Roster>({ known: replicas, evicted: replicas })
  /** Ascending as well: one set, one text, one hash. */
  const writers = replicas
  const hashOrWriters: Codec<Question<'missed-entries'>['folded']> = {
    encode: (value) => (typeof value === 'string' ? shortHash.encode(value) : writers.encode(value)),
    decode: (row) => (Array.isArray(row) ? writers.decode(row) : shortHash.decode(row)),
  }
  const partitionHashes = list(shortHash, PARTITIONS)
  const member = fields<MemberUpdate>({
    replica: id,
    name: text(255),
    address: text(300),
    clientUrl: text(300),
    zone: text(255),
    version: text(64),
    state: oneOf('alive', 'suspect', 'dead', 'left'),
    incarnation: count(),
  })
  const members = list(member, MEMBERS_MAX)
  const updates = fields<{ readonly updates: readonly MemberUpdate[] }>({ updates: members })
  const memberList = fields<{ readonly members: readonly MemberUpdate[] }>({ members })
  const totals = fields<Totals>({ values: count(), tombstones: count(), bytes: count(), tombstoneBytes: count() })
  const report = fields<ReplicaReport>({
    name: text(255),
    root: digest,
    totals,
    hotRumors: count(),
    lastExchangeMs: countOrNone,
    ready: flag,
  })
  const treeNode = fields<TreeNode>({ depth: count(16), index: count(LEAVES - 1) })
  const node: Codec<TreeNode> = {
    encode: treeNode.encode,
    decode: (row) => {
      const decoded = treeNode.decode(row)
      // Its children four levels down must be in the tree.
      if (decoded.depth % 4 !== 0 || decoded.depth > 12 || decoded.index >= 2 ** decoded.depth)
        throw malformed('no node')
      return decoded
    },
  }
  const entryDigest = fields<EntryDigest>({ keyHash: digest, version, hash: shortHash })
  const outline = fields<EntryOutline>({
    address,
    version,
    hash: digest,
    tombstone: flag,
    expiresAtMs: count(WALL_MS_MAX),
    contentType: text(255),
    size: count(),
  })
  const outlineOrNone: Codec<EntryOutline | 'corrupt' | null> = {
    encode: (value) => (value === 'corrupt' || value === null ? value : outline.encode(value)),
    decode: (row) => (row === 'corrupt' || row === null ? row : outline.decode(row)),
  }
  const wallMs = count(WALL_MS_MAX)
  const purgeRecord = fields<PurgeRecord>({ version, expiresAtMs: wallMs, purgedAtMs: wallMs })
  type Union = NonNullable<FrontierGrounds['union']>
  const union = list(fields<Union>({ hash: id, writes: count() }), 1)
  const groundsRow = fields<Required<Omit<FrontierGrounds, 'union'>> & { readonly union: readonly Union[] }>({
    frontier: hlc,
    atMs: wallMs,
    takenFrom: idOrNone,
    promises: list(pair(id, hlc), MEMBERS_MAX),
    evicted: replicas,
    union,
  })
  const grounds: Codec<FrontierGrounds> = {
    encode: ({ union: covered, ...row }) =>
      groundsRow.encode({ ...row, union: covered === undefined ? [] : [covered] }),
    decode: (row) => {
      const { union: covered, ...decoded } = groundsRow.decode(row)
      return { ...decoded, ...(covered[0] !== undefined && { union: covered[0] }) }
    },
  }
  const memberValueName: Codec<string> = {
    encode: text(63).encode,
    decode: (row) => {
      const decoded = text(63).decode(row)
      if (!isMemberValueName(decoded)) throw malformed('no name of a value')
      return decoded
    },
  }
  const revision = count(REVISION_MAX)
  const memberValueFields = fields<MemberValue>({
    owner: id,
    name: memberValueName,
    revision,
    contentType: text(CONTENT_TYPE_BYTES_MAX),
    value: bytes,
  })
  const memberValue: Codec<MemberValue> = {
    encode: memberValueFields.encode,
    decode: (row) => {
      const decoded = memberValueFields.decode(row)
      if (decoded.value.length > MEMBER_VALUE_BYTES_MAX) throw malformed('a value of a member is too long')
      // A copy: what was received is a view of its whole frame, which would stay in memory as long.
      return { ...decoded, value: decoded.value.slice() }
    },
  }
  const ownerAndName = pair(id, memberValueName)
  const memberValueRow: Codec<Question<'member-values'>['known'][number]> = {
    encode: ([owner, name, said]) => [ownerAndName.encode([owner, name]), said],
    decode: (row) => {
      const [[owner, name], said] = pair(ownerAndName, revision).decode(row)
      return [owner, name, said]
    },
  }
  const memberValues = list(memberValue, MEMBER_VALUES_PER_MESSAGE_MAX)
  const nothing = fields<Record<never, never>>({})
  const indexes = list(count(RUMORS_PER_QUESTION_MAX - 1), RUMORS_PER_QUESTION_MAX)
  const takesRumors = fields<Question<'rumor-notice'>>({ takesRumors: flag })

  return {
    hello: {
      question: nothing,
      answer: fields<Answer<'hello'>>({
        cluster: clusterIdOrNone,
        replica: idOrNone,
        name: text(255),
        member: flag,
        ticket: id,
      }),
    },
    join: {
      question: fields<Question<'join'>>({
        joiner: member,
        ticket: id,
        rebuild: flag,
        former: list(id, FORMER_IDS_MAX),
      }),
      answer: fields<Answer<'join'>>({
        cluster: clusterId,
        sponsor: id,
        roster,
        clock: hlc,
        members,
      }),
    },
    publish: {
      question: fields<Question<'publish'>>({
        roster,
        folded: writers,
        frontier: hlc,
        partitions: partitionHashes,
        wanted: hlc,
      }),
      answer: fields<Answer<'publish'>>({
        roster,
        folded: writers,
        frontier: hlc,
        promise: hlc,
        vectors,
        closed: list(id, ROSTER_MAX),
      }),
    },
    rumors: {
      question: fields<Question<'rumors'>>({ entries, hops: count(64) }),
      answer: fields<Answer<'rumors'>>({ known: indexes, lacking: indexes }),
    },
    forgotten: { question: nothing, answer: nothing },
    'rumor-notice': { question: takesRumors, answer: takesRumors },
    'hot-rumors': { question: nothing, answer: fields<Answer<'hot-rumors'>>({ entries }) },
    'vector-hash': {
      question: fields<Question<'vector-hash'>>({ vector: shortHash, roster: shortHash, frontier: hlc }),
      answer: fields<Answer<'vector-hash'>>({
        sameRoster: flag,
        frontier: hlc,
        purged: flag,
        partitions: partitionHashes,
        root: digest,
      }),
    },
    'missed-entries': {
      question: fields<Question<'missed-entries'>>({ vectors, folded: hashOrWriters }),
      answer: fields<Answer<'missed-entries'>>({
        entries,
        frontier: hlc,
        folded: writers,
        claims: vectors,
        clock: hlc,
        acquainted: flag,
      }),
    },
    'tree-nodes': {
      question: fields<Question<'tree-nodes'>>({
        root: digest,
        frontier: hlc,
        nodes: list(node, TREE_NODES_PER_QUESTION_MAX),
      }),
      answer: fields<Answer<'tree-nodes'>>({
        frontier: hlc,
        children: list(list(shortHash, 16), TREE_NODES_PER_QUESTION_MAX),
      }),
    },
    'leaf-entries': {
      question: fields<Question<'leaf-entries'>>({ leaves: list(leaf, LEAVES_PER_QUESTION_MAX) }),
      answer: fields<Answer<'leaf-entries'>>({
        // One leaf comes as a whole, however many entries share it.
        leaves: list(list(entryDigest, Number.MAX_SAFE_INTEGER), LEAVES_PER_QUESTION_MAX),
      }),
    },
    'swap-entries': {
      question: fields<Question<'swap-entries'>>({ entries, want: list(digest, ENTRIES_PER_QUESTION_MAX) }),
      answer: fields<Answer<'swap-entries'>>({ entries, taken: count() }),
    },
    time: {
      question: fields<Question<'time'>>({ run: id, address: text(300) }),
      answer: fields<Answer<'time'>>({ run: id, wallMs: count(WALL_MS_MAX) }),
    },
    'held-entry': {
      question: fields<Question<'held-entry'>>({ keyHash: digest, vector }),
      answer: fields<Answer<'held-entry'>>({ entries: list(entry, 1), contains: flag }),
    },
    'newest-entry': {
      question: fields<Question<'newest-entry'>>({ address, held: list(version, 1), entries: list(entry, 1) }),
      answer: fields<Answer<'newest-entry'>>({ readable: flag, held: list(version, 1), entries: list(entry, 1) }),
    },
    'sound-leaf': {
      // One leaf comes as a whole, however many entries share it.
      question: fields<Question<'sound-leaf'>>({
        leaf,
        vector,
        frontier: hlc,
        roster: shortHash,
        held: list(entryDigest, Number.MAX_SAFE_INTEGER),
      }),
      answer: fields<Answer<'sound-leaf'>>({
        sameRoster: flag,
        frontier: hlc,
        sound: flag,
        contains: flag,
        vector,
        listed: list(entryDigest, Number.MAX_SAFE_INTEGER),
        entries,
        purged: list(pair(digest, version), Number.MAX_SAFE_INTEGER),
      }),
    },
    'await-versions': {
      question: fields<Question<'await-versions'>>({
        wanted: list(fields<WantedVersion>({ keyHash: digest, version }), ENTRIES_PER_QUESTION_MAX),
        waitMs: count(AWAIT_VERSIONS_MS_MAX),
      }),
      answer: fields<Answer<'await-versions'>>({
        held: list(
          fields<HeldVersion>({ index: count(ENTRIES_PER_QUESTION_MAX - 1), atMs: count(WALL_MS_MAX) }),
          ENTRIES_PER_QUESTION_MAX,
        ),
      }),
    },
    probe: { question: updates, answer: updates },
    'indirect-probe': {
      question: fields<Question<'indirect-probe'>>({ target: id, updates: members }),
      answer: fields<Answer<'indirect-probe'>>({ reached: flag, updates: members }),
    },
    gossip: { question: updates, answer: updates },
    'push-pull': { question: memberList, answer: memberList },
    'member-values': {
      question: fields<Question<'member-values'>>({
        values: memberValues,
        digest: shortHash,
        known: list(memberValueRow, MEMBERS_MAX * MEMBER_VALUES_MAX),
      }),
      answer: fields<Answer<'member-values'>>({
        digest: shortHash,
        values: memberValues,
        lacking: list(count(MEMBERS_MAX * MEMBER_VALUES_MAX - 1), MEMBER_VALUES_PER_MESSAGE_MAX),
      }),
    },
    report: {
      question: fields<Question<'report'>>({ partitions: list(partition, PARTITIONS), frontier: hlc }),
      answer: fields<Answer<'report'>>({
        report,
        frontier: hlc,
        partitions: partitionHashes,
        leaves: list(list(shortHash, LEAVES_PER_PARTITION), PARTITIONS),
      }),
    },
    tombstones: {
      question: fields<Question<'tombstones'>>({ frontier: hlc }),
      answer: fields<Answer<'tombstones'>>({
        totals,
        oldest: hlc,
        frontier: hlc,
        waits: list(pair(id, count()), MEMBERS_MAX),
      }),
    },
    'purge-record': {
      question: fields<Question<'purge-record'>>({ keyHash: digest, frontier: hlc }),
      answer: fields<Answer<'purge-record'>>({
        frontier: hlc,
        held: outlineOrNone,
        purged: list(purgeRecord, 1),
        grounds: list(grounds, 1),
        rememberedSinceMs: wallMs,
      }),
    },
    inspect: {
      question: fields<Question<'inspect'>>({ keyHashes: list(digest, ENTRIES_PER_QUESTION_MAX) }),
      answer: fields<Answer<'inspect'>>({ entries: list(outlineOrNone, ENTRIES_PER_QUESTION_MAX) }),
    },
  }
}

/** Rosters are compared by hashes of their text, so there is one order. */
function areAscending(texts: readonly string[]): boolean {
  return texts.every((each, index) => index === 0 || (texts[index - 1] ?? '') < each)
}

const address: Codec<Address> = {
  encode: byteString(0, Number.MAX_SAFE_INTEGER).encode,
  decode: (row) => {
    const decoded = byteString(3, 2_048).decode(row)
    if (!isAddress(decoded)) throw malformed('not an address')
    return decoded
  },
}
