import type { MemberBody } from '@grapevine/contract'
import { openNodeOrCluster } from '../cluster-access.ts'
import type { Command } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { formatOf } from '../output/format.ts'
import { skewText } from '../output/numbers.ts'
import { printDocument } from '../output/print.ts'
import { paintOfState, type Style } from '../output/style.ts'
import { tableLines, type Column } from '../output/table.ts'

export const members: Command = {
  name: 'members',
  summary: 'The members of the cluster, as a node sees them',
  usage: 'members [NODE]',
  details: 'The star marks the node that answers. A node that `left` was stopped on purpose and is still a member.',
  flags: {},
  examples: ['grapevine members', 'grapevine members n2 -o ndjson'],
  takes: { least: 0, most: 1 },
  async run(call) {
    await using grapevine = await openNodeOrCluster(call, call.args[0])
    const body = await grapevine.admin.members({ signal: call.signal })
    if (formatOf(call.flags) === 'ndjson')
      for (const member of body.members) await call.shell.stdout.write(`${JSON.stringify(member)}\n`)
    else await printDocument(call, body, (style) => tableLines(columns(style), body.members, style))
    return EXIT.good
  },
}

function columns(style: Style): readonly Column<MemberBody>[] {
  return [
    { title: 'STATE', text: ({ state }) => state, paint: ({ state }) => paintOfState(state, style) },
    { title: 'NODE', text: ({ name, self }) => (self ? `${name} *` : name) },
    { title: 'ADDRESS', text: ({ address }) => address },
    { title: 'PEERS', text: ({ peerAddress }) => peerAddress },
    { title: 'ZONE', text: ({ zone }) => zone || '-' },
    { title: 'VERSION', text: ({ version }) => version },
    { title: 'INCARNATION', text: ({ incarnation }) => String(incarnation), align: 'right' },
    { title: 'ROUND TRIP', text: ({ rttMs }) => (rttMs === null ? '-' : `${rttMs.toFixed(1)} ms`), align: 'right' },
    { title: 'CLOCK', text: ({ skewMs }) => skewText(skewMs), align: 'right' },
    { title: 'ID', text: ({ nodeId }) => nodeId },
  ]
}
