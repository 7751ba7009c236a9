import { endpointsOf, openNodeOrCluster } from '../cluster-access.ts'
import type { Command } from '../command.ts'
import { confirm } from '../confirm.ts'
import { CommandError, EXIT } from '../exit-code.ts'
import { printDocument } from '../output/print.ts'

/** What the node itself allows when nothing is said. */
const WITHIN_MS = 30_000
/** For the answer itself, beyond what the node waits for. */
const ANSWER_MS = 15_000

export const leave: Command = {
  name: 'leave',
  summary: "End a node's membership, once another one holds all that it holds",
  usage: 'leave [NODE] [--yes] [--within DURATION]',
  details:
    'The node takes no more writes, waits until another member has everything, tells the others, and its process ends. It starts\nagain only with --rebuild, and then joins anew. To stop a node for a while, stop its process: that is not leaving.',
  flags: {
    yes: { type: 'boolean', help: 'That this is meant' },
    within: { type: 'string', value: 'DURATION', help: 'How long others may take to get everything (30s)' },
  },
  examples: ['grapevine leave n3 --yes', 'grapevine leave --yes --endpoint http://127.0.0.1:7720'],
  takes: { least: 0, most: 1 },
  async run(call) {
    const [node] = call.args
    const withinMs = call.flags.duration('within') ?? WITHIN_MS
    const endpoints = await endpointsOf(call)
    if (node === undefined && endpoints.length > 1)
      throw new CommandError(`Say which node is to leave: there are ${endpoints.join(', ')}.`, {
        exitCode: EXIT.usage,
        next: 'grapevine leave NODE --yes',
      })
    const who = node ?? endpoints[0] ?? 'the node'
    const command = `grapevine leave${node === undefined ? '' : ` ${node}`} --yes`
    await using grapevine = await openNodeOrCluster(call, node)
    await confirm(call, `${who} ends its membership and its process, and starts again only with --rebuild.`, command)
    await call.shell.stderr.write(`Waiting until another member holds all that ${who} holds …\n`)
    const report = await grapevine.admin.leave({ withinMs, timeoutMs: withinMs + ANSWER_MS, signal: call.signal })
    await printDocument(call, report, () =>
      [
        `${report.name} has left: ${report.coveredBy} holds all that it held. Its data is still in ${report.dataDir} there.`,
        ...(report.told.length === 0 ? [] : [`Told: ${report.told.join(', ')}.`]),
        ...(report.warning === undefined ? [] : [report.warning]),
        '',
      ].join('\n'),
    )
    return EXIT.good
  },
}
