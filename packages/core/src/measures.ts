/** What is counted; the second part of each comment is the label, where there is one. */
export type CounterName =
  /** Answers to pushed rumors · `news` or `known`. */
  | 'rumor_feedback'
  /** Entries sent as rumors. */
  | 'rumor_entries_sent'
  /** Own writes that became rumors. */
  | 'rumor_updates'
  /** Entries dropped from a full rumor queue: the pull brings them. */
  | 'rumor_dropped'
  /** Finished exchanges · `equal`, `repaired`, `failed`. */
  | 'antientropy_exchanges'
  /** Bytes of entries repaired by exchanges · `in`, `out`. */
  | 'antientropy_exchange_bytes'
  /** Entries repaired by exchanges · `in`, `out`. */
  | 'antientropy_keys_repaired'
  /** Questions asked by exchanges. */
  | 'antientropy_questions'
  /** Entries brought by vector pulls. */
  | 'pull_entries'
  /** Equal vectors with unequal roots. */
  | 'integrity_faults'
  /** Rows found that fail their checksum. */
  | 'corrupt_entries'
  /** Rows that could not be read and came back from a peer. */
  | 'healed_entries'
  /** Rows found that an index names and that are not there. */
  | 'hidden_entries'
  /** Leaves that the scrub has read and summed up. */
  | 'scrub_leaves'
  | 'scrub_bytes'
  /** Passes of the scrub over all leaves. */
  | 'scrub_passes'
  /** Leaves found whose sum differs from their rows, and that no peer could mend: an integrity fault of this replica. */
  | 'suspect_leaves'
  /** Leaves replaced by those of a clean member (frontier.md R19). */
  | 'mended_leaves'
  /** Rows of sound leaves that were taken or dropped (R20) · `taken`, `dropped`. */
  | 'settled_rows'
  /** Rows of an index that lead to no entry, or to another one. */
  | 'orphaned_index_rows'
  /** Entries to which an index did not lead any more. */
  | 'reindexed_entries'
  /** Members that we suspected and that turned out to be alive. */
  | 'false_suspicions'
  /** Entries refused as old (R5). */
  | 'refused_entries'
  /** Writes of others that lost against one of this replica that had not seen them. */
  | 'concurrent_overwrites'
  /** Reopenings of the store after a failed write. */
  | 'store_reopens'
  /** Entries taken in because a read asked others and one of them had something newer. */
  | 'read_repairs'
  /** Requests that had to wait until this replica had seen what their session had. */
  | 'session_waits'
  /** Of those the ones whose time was over before. */
  | 'session_behind'
  /** Watches that began · `new`, `resumed`; and those that had to read on from the store, `reread`, or could not, `resync`. */
  | 'watches'
  /** Changes told to those who watch. */
  | 'watch_events'

/** What is measured as a distribution, in seconds unless it says otherwise. */
export type DistributionName =
  | 'commit_seconds'
  /** Entries. */
  | 'commit_batch_size'
  | 'probe_seconds'
  | 'antientropy_exchange_seconds'
  /** From a write's commit on its coordinator to its commit here, by the coordinator's hlc. */
  | 'rumor_delay_seconds'

/** Where the measures go: a registry in the server, a list in tests. */
export interface Measures {
  add(name: CounterName, by?: number, label?: string): void
  observe(name: DistributionName, value: number): void
}

export const NO_MEASURES: Measures = { add: () => {}, observe: () => {} }
