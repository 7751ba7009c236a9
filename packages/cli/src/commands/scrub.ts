import type { ScrubBody } from '@grapevine/contract'
import { openNodeOrCluster } from '../cluster-access.ts'
import type { Call, Command } from '../command.ts'
import { CommandError, EXIT } from '../exit-code.ts'
import { bytesText, countText, plural } from '../output/numbers.ts'
import { printDocument } from '../output/print.ts'
import { sleep } from '../sleep.ts'
import type { Grapevine } from '@grapevine/client/admin'

const LOOK_MS = 200
const PARTITIONS = 256

export const scrub: Command = {
  name: 'scrub',
  summary: 'Read and check everything on a node now, instead of over days',
  usage: 'scrub [NODE] [--wait]',
  details:
    'Each entry is read and each leaf summed up anew; what is damaged is fetched from other nodes. Without --wait it goes on\nin the background, and asking again tells how far it is. Waiting, it exits 6 when something is lost that no node gave back.',
  flags: { wait: { type: 'boolean', help: 'Until it is done' } },
  examples: ['grapevine scrub n1 --wait', 'grapevine scrub --endpoint http://127.0.0.1:7710'],
  takes: { least: 0, most: 1 },
  async run(call) {
    await using grapevine = await openNodeOrCluster(call, call.args[0])
    let report = await grapevine.admin.scrub({ signal: call.signal })
    if (call.flags.has('wait')) report = await untilDone(call, grapevine, report)
    await printDocument(call, report, () => scrubText(report))
    if (report.error !== undefined)
      throw new CommandError(`The scrub ended early: ${report.error}.`, { next: "the node's log says more" })
    return report.suspectLeaves > 0 ? EXIT.divergence : EXIT.good
  },
}

async function untilDone(call: Call, { admin }: Grapevine, begun: ScrubBody): Promise<ScrubBody> {
  let report = begun
  while (report.running && !call.signal.aborted) {
    await sleep(LOOK_MS, call.signal)
    report = await admin.scrubReport({ signal: call.signal })
  }
  return report
}

export function scrubText(report: ScrubBody): string {
  const { corrupt, hidden, healed, suspectLeaves, orphanedIndexRows } = report
  const far = report.running ? `${report.partitions} of ${PARTITIONS} partitions so far` : 'All partitions'
  const lines = [`${far}: ${plural(report.entries, 'entry', 'entries')}, ${bytesText(report.bytes)} read.`]
  if (corrupt + hidden === 0) lines.push('Nothing is damaged.')
  else
    lines.push(
      `${countText(corrupt)} damaged and ${countText(hidden)} missing, of which ${countText(healed)} came back from other nodes.`,
    )
  if (orphanedIndexRows > 0)
    lines.push(`${plural(orphanedIndexRows, 'row')} of the index lead nowhere, which does no harm.`)
  if (suspectLeaves > 0)
    lines.push(
      `${plural(suspectLeaves, 'leaf', 'leaves')} lost something that no other node gave back.`,
      'Next: grapevine divergence',
    )
  return `${lines.join('\n')}\n`
}
