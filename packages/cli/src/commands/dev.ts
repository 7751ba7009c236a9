import { extname, join } from 'node:path'
import { CLIENT_PORT } from '@grapevine/contract'
import type { Call, Command } from '../command.ts'
import { control, VERBS } from '../dev/control.ts'
import { dataDirOf } from '../dev/dev-file.ts'
import type { NodeReport } from '../dev/dev-cluster.ts'
import { NODES_MAX } from '../dev/layout.ts'
import type { Launcher } from '../dev/node-process.ts'
import { runDev } from '../dev/run-dev.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { formatOf } from '../output/format.ts'
import { printDocument, tell } from '../output/print.ts'
import { tableLines, type Column } from '../output/table.ts'
import { UsageError } from '../usage-error.ts'

/**
 * Three semi-spaces of up to 16 MiB for objects that have just been made. Node takes up to 64 MiB each on a large machine, which
 * costs a node 100 MiB of memory more and made it no faster (bench/README.md). The container image does the same.
 */
const YOUNG_GENERATION = ['--max-semi-space-size=16']

const NODES_DEFAULT = 3

export const dev: Command = {
  name: 'dev',
  summary: 'Run a local cluster, each node a process of its own',
  usage: 'dev [start | list | stop | restart | pause | resume] [NODE]',
  details:
    'Without a verb it runs the cluster until Ctrl-C. The verbs act on the one that runs: restart starts a node again that\nwas killed, and returns when it is ready; pause and resume are SIGSTOP and SIGCONT; stop without a node stops all.\nNobody is restarted by itself. Data and logs stay in the data directory.',
  flags: {
    nodes: { type: 'string', value: 'N', help: `How many nodes, 1 to ${NODES_MAX} (${NODES_DEFAULT})` },
    'base-port': {
      type: 'string',
      value: 'PORT',
      help: `Client port of n1; further nodes follow in tens (${CLIENT_PORT})`,
    },
    fresh: { type: 'boolean', help: 'Delete the data of earlier runs first' },
  },
  examples: ['grapevine dev --nodes 5 --data-dir /tmp/five --base-port 7800', 'grapevine dev restart n3'],
  takes: { least: 0, most: 2 },
  ownsSignals: true,
  async run(call) {
    const [verb = 'start', node] = call.args
    const dataDir = dataDirOf(call.flags, call.shell.env)
    if (verb === 'start' && node === undefined)
      return runDev(call, {
        dataDir,
        nodes: call.flags.count('nodes', 1, NODES_MAX) ?? NODES_DEFAULT,
        basePort: call.flags.count('base-port', 1, 65_535) ?? CLIENT_PORT,
        fresh: call.flags.has('fresh'),
        launcher: ownLauncher(call),
      })
    if (verb === 'list') return show(call, await control(dataDir))
    const known = VERBS.find((each) => each === verb)
    if (known === undefined)
      throw new UsageError(`dev cannot ${verb}: it can start, list, ${VERBS.slice(1).join(', ')}.`)
    if (node === undefined && (known === 'pause' || known === 'resume'))
      throw new UsageError(`Say which node to ${known}: grapevine dev ${known} n1`)
    const nodes = await control(dataDir, known, node)
    if (formatOf(call.flags) !== 'table') return show(call, nodes)
    const { pid } = nodes.find(({ name }) => name === node) ?? {}
    await tell(call, `${node ?? 'All'}: ${DONE[known]}${pid ? ` (process ${pid})` : ''}.`)
    return EXIT.good
  },
}

const DONE = { start: 'ready', restart: 'ready', stop: 'stopped', pause: 'paused', resume: 'running' } as const

/** The program that runs now, whether from `dist` or, in development, from `src`. */
function ownLauncher({ shell }: Call): Launcher {
  const main = join(import.meta.dirname, '..', `main${extname(import.meta.filename)}`)
  return { program: process.execPath, args: [...process.execArgv, ...YOUNG_GENERATION, main, 'server'], env: shell.env }
}

async function show(call: Call, nodes: readonly NodeReport[]): Promise<ExitCode> {
  await printDocument(call, { nodes }, (style) => tableLines(COLUMNS, nodes, style))
  return EXIT.good
}

const COLUMNS: readonly Column<NodeReport>[] = [
  { title: 'STATE', text: ({ state }) => state },
  { title: 'NODE', text: ({ name }) => name },
  { title: 'URL', text: ({ url }) => url },
  { title: 'PEERS', text: ({ peerUrl }) => peerUrl },
  { title: 'PROCESS', text: ({ pid }) => (pid === null ? '-' : String(pid)) },
  { title: 'DATA', text: ({ dataDir }) => dataDir },
]
