import type { ClusterBody, StatusNode } from '@grapevine/contract'
import { openNodeOrCluster } from '../cluster-access.ts'
import type { Command } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { agoText, bytesText, countText, plural, skewText, spanText } from '../output/numbers.ts'
import { printDocument } from '../output/print.ts'
import { paintOfState, type Style } from '../output/style.ts'
import { tableLines, type Column } from '../output/table.ts'
import { watch } from '../watch.ts'

const PARTITIONS = 256

export const status: Command = {
  name: 'status',
  summary: 'Who is there, and whether they agree',
  usage: 'status [NODE] [--watch]',
  details: 'As the node sees it that answers. A node is named as n1, host:port or URL.',
  flags: { watch: { type: 'boolean', help: 'Again every second, until Ctrl-C' } },
  examples: ['grapevine status', 'grapevine status n3 -o json'],
  takes: { least: 0, most: 1 },
  async run(call) {
    await using grapevine = await openNodeOrCluster(call, call.args[0])
    const show = async (): Promise<0> => {
      const cluster = await grapevine.admin.cluster({ signal: call.signal })
      await printDocument(call, cluster, (style) => statusText(cluster, style))
      return EXIT.good
    }
    return await (call.flags.has('watch') ? watch(call, show) : show())
  },
}

export function statusText(cluster: ClusterBody, style: Style): string {
  const { clusterId, nodes, converged, divergentPartitions, divergentForMs } = cluster
  const alive = nodes.filter(({ state }) => state === 'alive').length
  const since = divergentForMs === undefined ? '' : `, since ${spanText(divergentForMs)}`
  const silent = nodes.filter(({ root }) => root === null).map(({ name }) => name)
  const why =
    divergentPartitions > 0 || silent.length === 0
      ? `${divergentPartitions} of ${PARTITIONS} partitions differ${since}`
      : `${silent.join(', ')} cannot be asked`
  const verdict = converged ? style.good('yes') : `${style.bad('NO')} (${why})`
  const head = `Cluster ${clusterId.slice(0, 8)}  ${plural(nodes.length, 'node')}  ${alive} alive  converged: ${verdict}\n`
  const next = nextStep(cluster)
  return (
    head +
    tableLines(columns(style), nodes, style) +
    clocksLine(nodes, style) +
    tombstonesLine(cluster, style) +
    (next === undefined ? '' : `Next: ${next}\n`)
  )
}

/** Clocks that NTP keeps differ by milliseconds; beyond a second somebody should look. */
const SKEW_MS_SHOWN = 1_000

function clocksLine(nodes: readonly StatusNode[], style: Style): string {
  const far = nodes.filter(({ skewMs }) => Math.abs(skewMs ?? 0) >= SKEW_MS_SHOWN)
  const each = far.map(({ name, skewMs }) => `${name} ${skewText(skewMs)}`)
  return far.length === 0
    ? ''
    : `${style.bad('Clocks')} differ from that of the node that answers: ${each.join(', ')}\n`
}

function tombstonesLine({ tombstonesPileUp }: ClusterBody, style: Style): string {
  return tombstonesPileUp === true
    ? `${style.bad('Tombstones')} pile up and do not go: grapevine tombstones says who holds them back\n`
    : ''
}

function nextStep({ nodes, converged, divergentPartitions }: ClusterBody): string | undefined {
  if (divergentPartitions > 0) return 'grapevine divergence'
  const away = nodes.find(({ state }) => state === 'dead' || state === 'left')
  if (away !== undefined) return `start ${away.name} again: it catches up by itself`
  return converged ? undefined : 'grapevine divergence'
}

function columns(style: Style): readonly Column<StatusNode>[] {
  return [
    { title: 'STATE', text: ({ state }) => state, paint: ({ state }) => paintOfState(state, style) },
    { title: 'NODE', text: ({ name }) => name },
    { title: 'ADDRESS', text: ({ address }) => address },
    { title: 'ZONE', text: ({ zone }) => zone || '-' },
    { title: 'KEYS', text: ({ keys }) => countText(keys) },
    { title: 'SIZE', text: ({ bytes }) => bytesText(bytes) },
    { title: 'TOMBSTONES', text: ({ tombstones }) => countText(tombstones) },
    { title: 'RUMORS', text: ({ hotRumors }) => countText(hotRumors) },
    // Without a root it did not answer, so its null is no "never".
    { title: 'LAST EXCHANGE', text: ({ root, lastExchangeMs }) => (root === null ? '?' : agoText(lastExchangeMs)) },
    { title: 'DIFFERS', text: ({ differingPartitions }) => countText(differingPartitions) },
  ]
}
