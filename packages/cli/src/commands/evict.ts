import type { Grapevine } from '@grapevine/client/admin'
import { openCluster } from '../cluster-access.ts'
import type { Call, Command } from '../command.ts'
import { confirm } from '../confirm.ts'
import { EXIT } from '../exit-code.ts'
import { printDocument } from '../output/print.ts'

export const evict: Command = {
  name: 'evict',
  summary: 'Fence a node for good, so that the others need not wait for it',
  usage: 'evict NODE [--yes] [--alone]',
  details:
    'For a node that will not come back. Writes that only this node has are lost to the cluster, unless they are salvaged from its\ndata directory. It is refused from then on, whatever data it comes back with; started again, it joins anew, empty.\nNODE is a name, an id or a URL. A node that runs leaves with `grapevine leave`, and loses nothing.',
  flags: {
    yes: { type: 'boolean', help: 'That this is meant' },
    alone: { type: 'boolean', help: 'Also when only one node is left then' },
  },
  examples: ['grapevine evict n3 --yes', 'grapevine evict n3 --yes --endpoint http://127.0.0.1:7700'],
  takes: { least: 1, most: 1 },
  async run(call) {
    const [node = ''] = call.args
    await using grapevine = await openCluster(call)
    await confirm(
      call,
      `What only ${node} holds is lost when it is evicted, and this cannot be undone.`,
      `grapevine evict ${node} --yes`,
    )
    const id = await idOf(call, grapevine, node)
    const report = await grapevine.admin.evict(id, { signal: call.signal, alone: call.flags.has('alone') })
    const first = report.changed ? `${report.name} is evicted.` : `${report.name} had been evicted before.`
    await printDocument(call, report, () => `${first}\n${report.warning}\n`)
    return EXIT.good
  },
}

/**
 * The id behind a name: asking a second time for the same, as when the first answer is lost, must not end the one that has come
 * back under that name meanwhile.
 */
async function idOf(call: Call, { admin }: Grapevine, node: string): Promise<string> {
  const { members } = await admin.members({ signal: call.signal })
  return members.find(({ name, state }) => name === node && state !== 'evicted')?.nodeId ?? node
}
