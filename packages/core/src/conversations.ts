import type { Hlc } from './clock/hlc.ts'
import type { MemberUpdate } from './membership/member.ts'
import type { MemberValue } from './membership/member-values.ts'
import type { Roster } from './membership/roster.ts'
import type { Leaf, Partition } from './placement/partition.ts'
import type { FrontierGrounds, PurgeRecord, Totals } from './ports.ts'
import type { Address } from './record/address.ts'
import type { Digest, Entry } from './record/entry.ts'
import type { ClusterId, JoinTicket, ReplicaId, RunId, Version, WriterId } from './version/version.ts'
import type { VectorRows } from './vector/version-vector.ts'

/** The first 8 bytes of a hash, as a byte string: enough to tell replicas apart, a quarter of the traffic. */
export type ShortHash = string

/** A node of the hash tree: depth 0 is the root, 16 are the leaves. */
export interface TreeNode {
  readonly depth: number
  readonly index: number
}

/** An entry without its value: what two replicas compare. */
export interface EntryDigest {
  readonly keyHash: Digest
  readonly version: Version
  readonly hash: ShortHash
}

/** An entry as reports show it: all but its value. */
export interface EntryOutline {
  readonly address: Address
  readonly version: Version
  readonly hash: Digest
  readonly tombstone: boolean
  readonly expiresAtMs: number
  readonly contentType: string
  /** Bytes of the value, 0 for a tombstone. */
  readonly size: number
}

/** How a replica does, for reports. */
export interface ReplicaReport {
  readonly name: string
  readonly root: Digest
  readonly totals: Totals
  readonly hotRumors: number
  /** Milliseconds since the last finished anti-entropy exchange, or −1. */
  readonly lastExchangeMs: number
  readonly ready: boolean
}

/**
 * Everything that replicas say to each other. The answering side keeps nothing between two questions: it looks
 * at stored data alone, so either side may crash or give up at any point.
 */
export interface Conversations {
  /** Who is at this address? Needs no introduction, as `join` and `forgotten`. */
  readonly hello: {
    readonly question: Record<never, never>
    readonly answer: {
      /** Empty when this node knows no cluster yet. */
      readonly cluster: ClusterId | ''
      readonly replica: ReplicaId | ''
      readonly name: string
      /** Whether it is a bootstrapped member and may sponsor a joiner. */
      readonly member: boolean
      /** Good for one request to join, soon, at this process. */
      readonly ticket: JoinTicket
    }
  }
  /**
   * You knew me as a member, and now you do not. A roster only grows, and is durable before anybody sees it, so the directory of
   * who forgets is an older one (frontier.md R16).
   */
  readonly forgotten: {
    readonly question: Record<never, never>
    readonly answer: Record<never, never>
  }
  /** Let me in (frontier.md R13). The answerer has stored the joiner in K before it answers. */
  readonly join: {
    readonly question: {
      readonly joiner: MemberUpdate
      /** From the answer to `hello`: so an old request that comes again evicts nobody who bears the joiner's name by now. */
      readonly ticket: JoinTicket
      /** Replaces the member of the same name, which is evicted. */
      readonly rebuild: boolean
      /** Who this node was before, as its directory proves: no replica any more (R15, R16), and evicted with the answer. */
      readonly former: readonly ReplicaId[]
    }
    readonly answer: {
      readonly cluster: ClusterId
      readonly sponsor: ReplicaId
      readonly roster: Roster
      readonly clock: Hlc
      readonly members: readonly MemberUpdate[]
    }
  }
  /**
   * What I know of members, frontier and folded writers; what do you publish (frontier.md R9)? Rosters, folded writers
   * and the frontier are merged by whoever receives them.
   */
  readonly publish: {
    readonly question: {
      readonly roster: Roster
      readonly folded: readonly WriterId[]
      readonly frontier: Hlc
      /** The hashes of the asker's 256 vectors, or none when it does not need the answerer's. */
      readonly partitions: readonly ShortHash[]
      /** Please promise at least this, if your own clock has passed it: time alone lets an expired entry go. */
      readonly wanted: Hlc
    }
    /** All of it from one moment. */
    readonly answer: {
      readonly roster: Roster
      readonly folded: readonly WriterId[]
      readonly frontier: Hlc
      readonly promise: Hlc
      /** The answerer's vectors of the partitions whose hashes differ from the asker's. */
      readonly vectors: readonly (readonly [Partition, VectorRows])[]
      /** Earlier writers of the answerer that are not folded yet. */
      readonly closed: readonly WriterId[]
    }
  }
  /** Here is news. The answer tells of each whether it was; all of it is durable there, or what `lacking` says. */
  readonly rumors: {
    readonly question: {
      readonly entries: readonly Entry[]
      /** How many more times the receiver may pass these on. 0 when everybody is told directly. */
      readonly hops: number
    }
    readonly answer: {
      /** Indexes of the entries that were no news. */
      readonly known: readonly number[]
      /** Indexes of the entries that were not taken in: parked, refused or failed. */
      readonly lacking: readonly number[]
    }
  }
  /** Whether I take rumors at the moment: told at a pause and a resume, so that nobody counts on me for `w`. */
  readonly 'rumor-notice': {
    readonly question: { readonly takesRumors: boolean }
    readonly answer: { readonly takesRumors: boolean }
  }
  /** Classic pull gossip: what is hot where you are? */
  readonly 'hot-rumors': {
    readonly question: Record<never, never>
    readonly answer: { readonly entries: readonly Entry[] }
  }
  /** My vector and roster hash to this. The partitions' hashes come back when the vector's differ. */
  readonly 'vector-hash': {
    readonly question: {
      readonly vector: ShortHash
      /** Of K, E and the folded writers. */
      readonly roster: ShortHash
      readonly frontier: Hlc
    }
    readonly answer: {
      readonly sameRoster: boolean
      readonly frontier: Hlc
      /** Whether the answerer has dropped all that is at or below its frontier: else its root says nothing (R11). */
      readonly purged: boolean
      /** Empty when the vectors are equal, else 256. */
      readonly partitions: readonly ShortHash[]
      /** The root of the answerer's tree, when the vectors are equal: unequal roots are a fault then. */
      readonly root: Digest
    }
  }
  /** What have I missed? These are my vectors of the partitions that differ. */
  readonly 'missed-entries': {
    readonly question: {
      readonly vectors: readonly (readonly [Partition, VectorRows])[]
      /**
       * The folded writers, whose dots the vectors cover without naming them. By their hash, they must be those of the answerer.
       * By name, of one that takes over nobody's folded writers unseen: a joiner, which has none, or a run that may have lost
       * some of their entries.
       */
      readonly folded: ShortHash | readonly WriterId[]
    }
    readonly answer: {
      readonly entries: readonly Entry[]
      /** F of the same moment: it is adopted with the claims (R7). */
      readonly frontier: Hlc
      /** To who asked by name: the folded writers here, whose dots the claims of all partitions cover without naming them. */
      readonly folded: readonly WriterId[]
      /** For each partition that is answered completely: the answerer's vector at the same moment (R7). */
      readonly claims: readonly (readonly [Partition, VectorRows])[]
      readonly clock: Hlc
      /** Whether this run of the answerer has heard all that every other member had seen, and so has lost nothing. */
      readonly acquainted: boolean
    }
  }
  /** The subtrees four levels below these nodes. One node, the root, begins an exchange. */
  readonly 'tree-nodes': {
    readonly question: {
      /** The asker's root. */
      readonly root: Digest
      /** The frontier for which the asker's tree is exact: only equal ones are compared (R11). */
      readonly frontier: Hlc
      readonly nodes: readonly TreeNode[]
    }
    readonly answer: {
      /** The frontier of the answerer's tree. When it is another one, nothing else is said. */
      readonly frontier: Hlc
      /** For each node asked for, the hashes of its 16 descendants four levels down. Empty when roots are equal. */
      readonly children: readonly (readonly ShortHash[])[]
    }
  }
  readonly 'leaf-entries': {
    readonly question: { readonly leaves: readonly Leaf[] }
    readonly answer: {
      /** For each leaf asked for, in order, as many as fit; the asker goes on with those that are left out. */
      readonly leaves: readonly (readonly EntryDigest[])[]
    }
  }
  /** Take these, give me those. */
  readonly 'swap-entries': {
    readonly question: { readonly entries: readonly Entry[]; readonly want: readonly Digest[] }
    readonly answer: { readonly entries: readonly Entry[]; readonly taken: number }
  }
  /**
   * What does your clock say? A replica also asks those at other addresses that go by its own id: only another process can
   * name another run.
   */
  readonly time: {
    readonly question: {
      /** Drawn at each start of a process. */
      readonly run: RunId
      /** Where the asker lives. */
      readonly address: string
    }
    readonly answer: {
      readonly run: RunId
      readonly wallMs: number
    }
  }
  /** Are you there? Anything that the asker suspects of the asked comes with the updates. */
  readonly probe: {
    readonly question: { readonly updates: readonly MemberUpdate[] }
    readonly answer: { readonly updates: readonly MemberUpdate[] }
  }
  /** Is this one there, as you see it? */
  readonly 'indirect-probe': {
    readonly question: { readonly target: ReplicaId; readonly updates: readonly MemberUpdate[] }
    readonly answer: { readonly reached: boolean; readonly updates: readonly MemberUpdate[] }
  }
  /** Membership news that should not wait for a probe. */
  readonly gossip: {
    readonly question: { readonly updates: readonly MemberUpdate[] }
    readonly answer: { readonly updates: readonly MemberUpdate[] }
  }
  /** Whole membership lists, both ways. */
  readonly 'push-pull': {
    readonly question: { readonly members: readonly MemberUpdate[] }
    readonly answer: { readonly members: readonly MemberUpdate[] }
  }
  /**
   * Here is what members say of themselves. With `known`, all that the asker knows: what do I lack, and what do you? Without
   * any, only digests are compared.
   */
  readonly 'member-values': {
    readonly question: {
      readonly values: readonly MemberValue[]
      /** Of all that the asker knows. */
      readonly digest: ShortHash
      readonly known: readonly (readonly [ReplicaId, name: string, revision: number])[]
    }
    readonly answer: {
      readonly digest: ShortHash
      readonly values: readonly MemberValue[]
      /** Indexes of those of `known` that the answerer does not know. */
      readonly lacking: readonly number[]
    }
  }
  /** For reports: hashes at depth 8 (partitions) or of the leaves of some partitions, with their entry counts. */
  readonly report: {
    readonly question: {
      readonly partitions: readonly Partition[]
      /** The asker's frontier: trees of different ones differ without meaning anything by it. */
      readonly frontier: Hlc
    }
    readonly answer: {
      readonly report: ReplicaReport
      readonly frontier: Hlc
      /** 256 hashes at depth 8, of one moment. */
      readonly partitions: readonly ShortHash[]
      /** For each partition asked for, the 256 hashes of its leaves, of the same moment. */
      readonly leaves: readonly (readonly ShortHash[])[]
    }
  }
  /**
   * My row of this key cannot be read. What do you hold, and have you seen all that I have seen of its partition? Only then
   * is it what I held, or newer (frontier.md I1).
   */
  readonly 'held-entry': {
    readonly question: { readonly keyHash: Digest; readonly vector: VectorRows }
    /** Entry and vector of one moment. No entry when there is none, or none that can be read. */
    readonly answer: { readonly entries: readonly Entry[]; readonly contains: boolean }
  }
  /** For reports: what waits to be purged where you are, and for whom? */
  readonly tombstones: {
    /** The asker's frontier: what it makes absent is not counted. */
    readonly question: { readonly frontier: Hlc }
    readonly answer: {
      readonly totals: Totals
      /** The first thing that may go: a tombstone's version, or an expiry that has passed. Zero when there is none. */
      readonly oldest: Hlc
      readonly frontier: Hlc
      /** For whom the frontier waits, as the answerer knows, and for how long: many milliseconds. */
      readonly waits: readonly (readonly [ReplicaId, number])[]
    }
  }
  /** For reports: what do you know of the end of this key? */
  readonly 'purge-record': {
    readonly question: { readonly keyHash: Digest; readonly frontier: Hlc }
    readonly answer: {
      readonly frontier: Hlc
      /** What is on disk, also what is absent by the frontier already. */
      readonly held: EntryOutline | 'corrupt' | null
      /** What was purged of it last, or none that is remembered. */
      readonly purged: readonly PurgeRecord[]
      /** Why the frontier was raised above that; none when it is not remembered any more. */
      readonly grounds: readonly FrontierGrounds[]
      /** How far back the answerer remembers purges. Zero when it remembers none. */
      readonly rememberedSinceMs: number
    }
  }
  /**
   * A client asks for the newest of what a majority holds. What do you hold of this key, and is it newer than this? What
   * comes along take in first: it is newer than what you held.
   */
  readonly 'newest-entry': {
    readonly question: {
      readonly address: Address
      /** The version of what the asker holds; none when it holds nothing. */
      readonly held: readonly Version[]
      readonly entries: readonly Entry[]
    }
    readonly answer: {
      /** Whether the answerer can tell at all: not of a row that cannot be read, or may be lost. */
      readonly readable: boolean
      readonly held: readonly Version[]
      /** What it holds, if that is newer than what the asker does. */
      readonly entries: readonly Entry[]
    }
  }
  /**
   * My leaf has lost rows, or differs from yours for no reason (frontier.md R19, R20): what do you hold of it? The answerer
   * first sums up its own rows, and everything is from one moment between two of its commits.
   */
  readonly 'sound-leaf': {
    readonly question: {
      readonly leaf: Leaf
      /** The asker's vector of the leaf's partition, and its frontier. */
      readonly vector: VectorRows
      readonly frontier: Hlc
      /** Of K, E and the folded writers, without which vectors cannot be compared. */
      readonly roster: ShortHash
      /** What the asker can read of the leaf. */
      readonly held: readonly EntryDigest[]
    }
    readonly answer: {
      readonly sameRoster: boolean
      /** When it is another one than the asker's, or the rosters differ, nothing else is said. */
      readonly frontier: Hlc
      /** Whether the answerer's rows add up to its own sum. When not, nothing else is said. */
      readonly sound: boolean
      /** Whether all that the asker has seen of the partition was seen here. When not, nothing else is said. */
      readonly contains: boolean
      readonly vector: VectorRows
      /** All that the answerer holds of the leaf. */
      readonly listed: readonly EntryDigest[]
      /** Of these what the asker lacks, as many as fit. */
      readonly entries: readonly Entry[]
      /** What the answerer remembers of purging keys of the asker that it does not hold. */
      readonly purged: readonly (readonly [Digest, Version])[]
    }
  }
  /**
   * Do you hold these versions durably, or newer ones of their keys? Answered when one is held, when the asker asks again, or
   * when `waitMs` are over.
   */
  readonly 'await-versions': {
    readonly question: {
      readonly wanted: readonly { readonly keyHash: Digest; readonly version: Version }[]
      readonly waitMs: number
    }
    /** Those that are held: which of the wanted, and since when by the answerer's wall clock. */
    readonly answer: { readonly held: readonly { readonly index: number; readonly atMs: number }[] }
  }
  /** For reports: the entries of some keys. */
  readonly inspect: {
    readonly question: { readonly keyHashes: readonly Digest[] }
    /** `corrupt`: a row is there and cannot be read; `null`: none is. */
    readonly answer: { readonly entries: readonly (EntryOutline | 'corrupt' | null)[] }
  }
}

export type QuestionName = keyof Conversations
export type Question<Name extends QuestionName> = Conversations[Name]['question']
export type Answer<Name extends QuestionName> = Conversations[Name]['answer']
