import { openCluster } from '../cluster-access.ts'
import type { Command } from '../command.ts'
import { CommandError, EXIT } from '../exit-code.ts'
import { printDocument } from '../output/print.ts'

export const evict: Command = {
  name: 'evict',
  summary: 'Fence a node for good, so that the others need not wait for it',
  usage: 'evict NODE --yes [--alone]',
  details:
    'Writes that only this node has are lost to the cluster. It is refused from then on, whatever data it comes back with.',
  flags: {
    yes: { type: 'boolean', help: 'That this is meant' },
    alone: { type: 'boolean', help: 'Also when only one node is left then' },
  },
  examples: ['grapevine evict n3 --yes', 'grapevine evict n3 --yes --endpoint http://127.0.0.1:7700'],
  takes: { least: 1, most: 1 },
  async run(call) {
    const [node = ''] = call.args
    if (!call.flags.has('yes'))
      throw new CommandError(`What only ${node} holds is lost when it is evicted, and this cannot be undone.`, {
        exitCode: EXIT.usage,
        next: `grapevine evict ${node} --yes`,
      })
    await using grapevine = await openCluster(call)
    const report = await grapevine.admin.evict(node, { signal: call.signal, alone: call.flags.has('alone') })
    const first = report.changed ? `${report.name} is evicted.` : `${report.name} had been evicted before.`
    await printDocument(call, report, () => `${first}\n${report.warning}\n`)
    return EXIT.good
  },
}
