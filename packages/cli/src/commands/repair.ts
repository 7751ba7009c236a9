import type { Grapevine } from '@grapevine/client/admin'
import type { ExchangeBody } from '@grapevine/contract'
import { openCluster } from '../cluster-access.ts'
import type { Call, Command } from '../command.ts'
import { CommandError, EXIT, type ExitCode } from '../exit-code.ts'
import { bytesText, countText, spanText } from '../output/numbers.ts'
import { printDocument, tell } from '../output/print.ts'
import type { Style } from '../output/style.ts'
import { tableLines, type Column } from '../output/table.ts'
import { sleep } from '../sleep.ts'

const PATIENCE_MS = 60_000
/** An exchange of much data takes longer than other requests. */
const EXCHANGE_TIMEOUT_MS = 60_000
const ROUND_MS = 500

export const repair: Command = {
  name: 'repair',
  summary: 'Compare and repair now, instead of at the next interval',
  usage: 'repair [--with NODE] [--wait]',
  details:
    'The node that is asked has one anti-entropy exchange with NODE, or with each live member when none is named. Waiting,\nit goes on until all replicas are the same, and exits 6 when they are not in time (--timeout, 60s).',
  flags: {
    with: { type: 'string', value: 'NODE', help: 'Only with this member' },
    wait: { type: 'boolean', help: 'Until all replicas are the same' },
  },
  examples: ['grapevine repair --wait', 'grapevine repair --endpoint n1 --with n3'],
  takes: { least: 0, most: 0 },
  async run(call) {
    await using grapevine = await openCluster(call)
    const exchanges = await exchangeOnce(call, grapevine)
    await printDocument(call, { exchanges }, (style) => exchangesText(exchanges, style))
    if (call.flags.has('wait')) return await waitUntilSame(call, grapevine)
    const failed = exchanges.filter(({ result }) => result === 'failed')
    if (failed.length === 0) return EXIT.good
    throw new CommandError(`${failed.map(({ with: peer, error }) => `${peer}: ${error ?? 'failed'}`).join('; ')}.`, {
      next: 'grapevine members',
    })
  },
}

async function exchangeOnce(call: Call, { admin }: Grapevine): Promise<ExchangeBody[]> {
  const { signal } = call
  const named = call.flags.text('with')
  const partners = named === undefined ? await livePartners(call, { admin }) : [named]
  const exchanges: ExchangeBody[] = []
  for (const partner of partners)
    exchanges.push(await admin.antiEntropy(partner, { signal, timeoutMs: EXCHANGE_TIMEOUT_MS }))
  return exchanges
}

async function livePartners({ signal }: Call, { admin }: Pick<Grapevine, 'admin'>): Promise<string[]> {
  const { members } = await admin.members({ signal })
  return members
    .filter(({ self, state }) => !self && (state === 'alive' || state === 'suspect'))
    .map(({ name }) => name)
}

async function waitUntilSame(call: Call, grapevine: Grapevine): Promise<ExitCode> {
  const startedMs = Date.now()
  const deadlineMs = startedMs + (call.flags.duration('timeout') ?? PATIENCE_MS)
  while (!call.signal.aborted) {
    const { converged, unreachable } = await grapevine.admin.divergence({ signal: call.signal })
    if (converged) {
      await tell(call, `All replicas are the same after ${spanText(Date.now() - startedMs)}.`)
      return EXIT.good
    }
    if (Date.now() >= deadlineMs) {
      const why = unreachable.length === 0 ? '' : ` ${unreachable.join(', ')} cannot be asked.`
      await tell(call, `Replicas still differ.${why}\nNext: grapevine divergence`)
      return EXIT.divergence
    }
    await sleep(ROUND_MS, call.signal)
    await exchangeOnce(call, grapevine)
  }
  return EXIT.interrupted
}

function exchangesText(exchanges: readonly ExchangeBody[], style: Style): string {
  if (exchanges.length === 0) return 'There is no other live member to compare with.\n'
  return tableLines(COLUMNS, exchanges, style)
}

const COLUMNS: readonly Column<ExchangeBody>[] = [
  { title: 'WITH', text: ({ with: partner }) => partner },
  { title: 'RESULT', text: ({ result }) => result },
  { title: 'LEAVES', text: ({ leaves }) => countText(leaves) },
  { title: 'KEYS IN', text: ({ keysIn }) => countText(keysIn) },
  { title: 'KEYS OUT', text: ({ keysOut }) => countText(keysOut) },
  { title: 'BYTES', text: ({ bytesIn, bytesOut }) => bytesText(bytesIn + bytesOut) },
  { title: 'TOOK', text: ({ durationMs }) => spanText(durationMs) },
]
