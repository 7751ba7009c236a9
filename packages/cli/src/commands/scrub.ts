import type { ScrubBody } from '@grapevine/contract'
import { openNodeOrCluster } from '../cluster-access.ts'
import type { Call, Command } from '../command.ts'
import { CommandError, EXIT } from '../exit-code.ts'
import { bytesText, countText, plural } from '../output/numbers.ts'
import { printDocument } from '../output/print.ts'
import { sleep } from '../sleep.ts'
import type { Grapevine } from '@grapevine/client/admin'
import { visible } from '../output/table.ts'

const LOOK_MS = 200
const PARTITIONS = 256

export const scrub: Command = {
  name: 'scrub',
  summary: 'Read and check everything on a node now, instead of over days',
  usage: 'scrub [NODE] [--wait]',
  details:
    'Each entry is read and each leaf summed up anew; what is damaged or lost is fetched from other nodes. Without --wait it goes on\nin the background, and asking again tells how far it is. Waiting, it exits 6 when something is lost that no node gave back.',
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
    return report.suspectLeaves + report.undecided.length > 0 ? EXIT.divergence : EXIT.good
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
  const { corrupt, hidden, healed, cleared, mendedLeaves, suspectLeaves, orphanedIndexRows, reindexed } = report
  const far = report.running ? `${report.partitions} of ${PARTITIONS} partitions so far` : 'All partitions'
  const lines = [`${far}: ${plural(report.entries, 'entry', 'entries')}, ${bytesText(report.bytes)} read.`]
  if (corrupt + hidden + mendedLeaves + suspectLeaves === 0) lines.push('Nothing is damaged.')
  else {
    const deleted = cleared > 0 ? `, and ${countText(cleared)} turned out to be deleted` : ''
    lines.push(
      `${countText(corrupt)} damaged and ${countText(hidden)} missing: ${countText(healed)} came back from other nodes${deleted}.`,
    )
  }
  if (orphanedIndexRows + reindexed > 0)
    lines.push(
      `${plural(orphanedIndexRows, 'row')} of indexes led nowhere, and indexes led no more to ${plural(reindexed, 'entry', 'entries')}: put right.`,
    )
  if (suspectLeaves > 0)
    lines.push(
      `${plural(suspectLeaves, 'leaf', 'leaves')} lost something that no other node gave back. Nodes that have seen all ` +
        'that this one has seen are asked again every few seconds: are all of them there? If they are and this stays, only this ' +
        'node had it: start it with --rebuild, and it takes what the others have.',
      'Next: grapevine members',
    )
  lines.push(...undecidedText(report.undecided))
  return `${lines.join('\n')}\n`
}

/** More than a screen of them is one and the same question. */
const UNDECIDED_SHOWN = 10

function undecidedText(undecided: ScrubBody['undecided']): readonly string[] {
  const [first] = undecided
  if (first === undefined) return []
  const shown = undecided.slice(0, UNDECIDED_SHOWN)
  const rest = undecided.length - shown.length
  return [
    `${plural(undecided.length, 'key')} on one node alone, and nobody remembers whether it was deleted. Choose:`,
    ...shown.map(
      ({ bucket, key, heldBy, lackedBy }) => `  ${bucket} ${visible(key)}: ${heldBy} holds it, ${lackedBy} does not`,
    ),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
    `Next: grapevine delete ${first.bucket} ${visible(first.key)}, or read it from ${first.heldBy} and put it again`,
  ]
}
