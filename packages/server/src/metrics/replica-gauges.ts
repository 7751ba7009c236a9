import type { ReplicaStatus } from '@grapevine/replica'
import { counterText, gaugeText, type Labels } from './meters.ts'

/** What the replica is at the moment of the scrape. */
export function replicaGauges(status: ReplicaStatus, wallMs: number): string {
  const { report, membersByState, paused, disk } = status
  const oldest = status.oldestTombstoneMs
  return [
    gauge('ready', 'Whether the node is ready', Number(status.ready)),
    gauge('keys', 'Entries with a value', report.totals.values),
    gauge('bytes', 'Bytes of all entries, tombstones included', report.totals.bytes),
    gauge('tombstones', 'Deletions that are remembered', report.totals.tombstones),
    gauge('tombstone_bytes', 'Bytes of these', report.totals.tombstoneBytes),
    gauge(
      'tombstones_pile_up',
      'Whether they are a large share of all entries, and do not go',
      Number(status.tombstonesPileUp),
    ),
    gauge('tombstone_oldest_seconds', 'Age of the oldest tombstone, 0 without any', ageSeconds(oldest, wallMs)),
    gauges(
      'stable_frontier_lag_seconds',
      'How long what could be purged has waited for a member, as far as this node knows; 0 when it does not',
      'replica',
      secondsOf(status.frontierLagsMs),
    ),
    gauge('rumors_hot', 'Entries that are still being spread', report.hotRumors),
    gauge('parked_entries', 'Entries from the future, waiting for their time', status.parked),
    gauges('parked_entries_from', 'The same by the node that wrote them', 'peer', status.parkedFrom),
    gauges(
      'clock_skew_seconds',
      "How far each live member's clock is ahead of this node's",
      'peer',
      secondsOf(status.skewsMs),
    ),
    gauge('watchers', 'Watches that are open', status.watchers),
    gauge('write_queue', 'Writes that wait for a commit', status.writeQueue),
    gauge('suspect_leaves', 'Leaves that are known to have lost rows', status.suspectLeaves),
    gauge(
      'undecided_keys',
      'Keys that one node holds and another does not, for the operator to choose about',
      status.undecided.length,
    ),
    gauge('disk_read_only', 'Whether the node only reads, for want of space', Number(disk.isReadOnly)),
    gauge('disk_reserve_bytes', 'Free space below which the node only reads', disk.reserveBytes),
    disk.freeBytes === undefined ? '' : gauge('disk_free_bytes', 'Free space where the data is', disk.freeBytes),
    gauge('local_health', "Lifeguard's multiplier: 0 is healthy", status.localHealth),
    gauges('members', 'Members by what is thought of them', 'state', membersByState),
    gauges('divergent_partitions', 'Partitions that differed at the last exchange', 'peer', status.divergentPartitions),
    gauges('paused', 'What an operator has paused', 'what', {
      rumors: Number(paused.includes('rumors')),
      'anti-entropy': Number(paused.includes('anti-entropy')),
    }),
    counterText('grapevine_merkle_rebuilds_total', 'Leaves that were recomputed from their rows', [
      [{}, status.rebuilds],
    ]),
  ].join('')
}

function gauge(name: string, help: string, value: number): string {
  return gaugeText(`grapevine_${name}`, help, [[{}, value]])
}

function gauges(name: string, help: string, label: string, values: Readonly<Record<string, number>>): string {
  const samples = Object.entries(values).map(([key, value]): [Labels, number] => [{ [label]: key }, value])
  return gaugeText(`grapevine_${name}`, help, samples)
}

function ageSeconds(sinceMs: number | undefined, wallMs: number): number {
  return sinceMs === undefined ? 0 : Math.max(0, wallMs - sinceMs) / 1_000
}

function secondsOf(ms: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(ms).map(([key, value]) => [key, value / 1_000]))
}
