import { CLIENT_PORT } from '@grapevine/contract'
import type { Call } from '../command.ts'
import { CommandError, EXIT, type ExitCode } from '../exit-code.ts'
import { spanText } from '../output/numbers.ts'
import { tell } from '../output/print.ts'
import { styleFor } from '../output/style.ts'
import { listenForControl, refuseIfRunning } from './control.ts'
import { DevCluster } from './dev-cluster.ts'
import { removeDevFile } from './dev-file.ts'
import { takenAddresses } from './free-ports.ts'
import {
  claimDirectory,
  clearDirectory,
  nodeDirectories,
  planNodes,
  type ClusterPlan,
  type NodePlan,
} from './layout.ts'
import type { Launcher } from './node-process.ts'

/** npm and the terminal may both pass on one Ctrl-C: what comes so soon is not a second one. */
const SAME_INTERRUPT_MS = 500

export interface DevOptions extends ClusterPlan {
  /** Begin with empty nodes. */
  readonly fresh: boolean
  readonly launcher: Launcher
}

/** A local cluster from its start to its end, which Ctrl-C, SIGTERM or `grapevine dev stop` bring. */
export async function runDev(call: Call, options: DevOptions): Promise<ExitCode> {
  const { dataDir, fresh, launcher } = options
  const startedMs = Date.now()
  // Before anything is deleted: the nodes may be in use, and without ports nothing would come of it.
  await refuseIfRunning(dataDir)
  const plans = planNodes(options)
  await refuseTakenPorts(plans)
  if (fresh) await clearDirectory(dataDir)
  await claimDirectory(dataDir)
  // Of a run that was killed: whoever waits for it is to wait for this one.
  await removeDevFile(dataDir)

  const cluster = new DevCluster(dataDir, plans, launcher, (line) => void tell(call, line))
  const stop = new StopRequest(() => cluster.kill())
  const controlServer = await listenForControl(cluster, () => stop.request())
  try {
    await Promise.race([cluster.start(), stop.requested])
    if (!stop.isRequested) await announce(call, options, plans, Date.now() - startedMs)
    await stop.requested
    await tell(call, 'Stopping …')
  } finally {
    await cluster.stop()
    controlServer.close()
    controlServer.closeAllConnections()
    stop.close()
  }
  return stop.wasForced ? EXIT.interrupted : EXIT.good
}

async function refuseTakenPorts(plans: readonly NodePlan[]): Promise<void> {
  const taken = await takenAddresses(plans.flatMap(({ listen, peerListen }) => [listen, peerListen]))
  if (taken.length === 0) return
  throw new CommandError(`Somebody listens already on ${taken.join(', ')}.`, {
    next: `stop that, or choose other ports with --base-port ${Number(plans[0]?.listen.split(':')[1]) + 1_000}`,
  })
}

async function announce(
  call: Call,
  { dataDir, nodes, basePort }: DevOptions,
  plans: readonly NodePlan[],
  tookMs: number,
): Promise<void> {
  const { stdout } = call.shell
  const { bold, dim } = styleFor(stdout, call.shell)
  const first = plans[0]?.url ?? ''
  const last = plans.at(-1)?.url ?? first
  const idle = nodeDirectories(dataDir).filter((name) => plans.every((plan) => plan.name !== name))
  await stdout.write(
    [
      `${nodes === 1 ? 'One node' : `${nodes} nodes`}, ready after ${spanText(tookMs)}. Data: ${dataDir}`,
      ...plans.map(({ name, url, peerListen }) => `  ${bold(name)}  ${url}  ${dim(`peers ${peerListen}`)}`),
      '',
      'Try:',
      `  curl -X PUT ${first}/v1/kv/demo/hello -H 'content-type: text/plain' -d 'hello, grapevine'`,
      `  curl ${last}/v1/kv/demo/hello`,
      `  npx grapevine status${basePort === CLIENT_PORT ? '' : ` --endpoint ${first}`}`,
      '',
      'Ctrl-C stops all of it.',
      '',
    ].join('\n'),
  )
  if (idle.length > 0)
    await tell(
      call,
      `${idle.join(', ')} from an earlier run stay down, and count as dead members: --nodes starts them.`,
    )
}

/** Ctrl-C, SIGTERM, or another command. A second Ctrl-C kills. */
class StopRequest {
  readonly requested: Promise<void>
  readonly #kill: () => void
  #resolve: () => void = () => {}
  #requestedMs: number | undefined
  wasForced = false

  constructor(kill: () => void) {
    this.#kill = kill
    this.requested = new Promise((resolve) => (this.#resolve = resolve))
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
  }

  get isRequested(): boolean {
    return this.#requestedMs !== undefined
  }

  request(): void {
    this.#requestedMs ??= Date.now()
    this.#resolve()
  }

  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
  }

  readonly #onSignal = (): void => {
    if (this.#requestedMs !== undefined && Date.now() - this.#requestedMs > SAME_INTERRUPT_MS) {
      this.wasForced = true
      this.#kill()
    }
    this.request()
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
