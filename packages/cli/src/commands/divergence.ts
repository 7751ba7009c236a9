import type { DivergenceBody, DivergencePair, DivergenceReplica } from '@grapevine/contract'
import { openNodeOrCluster } from '../cluster-access.ts'
import type { Command } from '../command.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { countText, plural } from '../output/numbers.ts'
import { printDocument } from '../output/print.ts'
import { paintOfState, type Style } from '../output/style.ts'
import { tableLines, type Column } from '../output/table.ts'
import { watch } from '../watch.ts'

/** A partition lies at this depth of the hash tree. */
const DEPTH_MAX = 8
const PARTITIONS_SHOWN_MAX = 12

export const divergence: Command = {
  name: 'divergence',
  summary: 'Which replicas differ, and where',
  usage: 'divergence [NODE] [--depth N] [--watch]',
  details: 'Exits 6 when replicas differ, or when one cannot be compared because it is not there.',
  flags: {
    depth: { type: 'string', value: 'N', help: 'Name parts of the key space by so many bits, 0 to 8 (8: partitions)' },
    watch: { type: 'boolean', help: 'Again every second, until Ctrl-C' },
  },
  examples: ['grapevine divergence', 'grapevine divergence --watch -o ndjson'],
  takes: { least: 0, most: 1 },
  async run(call) {
    const depth = call.flags.count('depth', 0, DEPTH_MAX)
    await using grapevine = await openNodeOrCluster(call, call.args[0])
    const show = async (): Promise<ExitCode> => {
      const body = await grapevine.admin.divergence({ depth, signal: call.signal })
      await printDocument(call, body, (style) => divergenceText(body, style))
      return body.converged && body.unreachable.length === 0 ? EXIT.good : EXIT.divergence
    }
    return await (call.flags.has('watch') ? watch(call, show) : show())
  },
}

export function divergenceText(body: DivergenceBody, style: Style): string {
  const { converged, replicas, pairs, unreachable } = body
  const differing = pairs.filter(({ compared, partitions }) => compared && partitions.length > 0)
  const away = unreachable.length === 0 ? '' : ` Not compared, because not there: ${unreachable.join(', ')}.`
  const verdict =
    differing.length > 0
      ? style.bad(`${plural(differing.length, 'pair')} of replicas differ.`)
      : converged
        ? style.good(`All ${replicas.length} replicas hold the same.`)
        : style.doubtful('Those that can be compared hold the same.')
  const [worst] = differing.toSorted((a, b) => b.estimatedKeys - a.estimatedKeys)
  return [
    `${verdict}${away}\n\n`,
    tableLines(replicaColumns(style), replicas, style),
    differing.length === 0 ? '' : `\n${tableLines(PAIR_COLUMNS, differing, style)}`,
    worst === undefined ? '' : `Next: grapevine diff ${worst.a} ${worst.b}\n`,
  ].join('')
}

function replicaColumns(style: Style): readonly Column<DivergenceReplica>[] {
  return [
    { title: 'STATE', text: ({ state }) => state, paint: ({ state }) => paintOfState(state, style) },
    { title: 'NODE', text: ({ name }) => name },
    { title: 'ROOT', text: ({ root }) => root?.slice(0, 16) ?? '?' },
    { title: 'KEYS', text: ({ keys }) => countText(keys) },
    { title: 'TOMBSTONES', text: ({ tombstones }) => countText(tombstones) },
  ]
}

const PAIR_COLUMNS: readonly Column<DivergencePair>[] = [
  { title: 'PAIR', text: ({ a, b }) => `${a} ${b}` },
  { title: 'PARTITIONS', text: ({ partitions }) => countText(partitions.length) },
  { title: 'LEAVES', text: ({ leaves }) => countText(leaves) },
  { title: 'KEYS, ABOUT', text: ({ estimatedKeys }) => countText(estimatedKeys) },
  {
    title: 'WHICH',
    text: ({ partitions }) =>
      partitions.slice(0, PARTITIONS_SHOWN_MAX).join(' ') + (partitions.length > PARTITIONS_SHOWN_MAX ? ' …' : ''),
  },
]
