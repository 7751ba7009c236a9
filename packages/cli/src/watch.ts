import { GrapevineError } from '@grapevine/client'
import type { Call } from './command.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { sleep } from './sleep.ts'

const INTERVAL_MS = 1_000
/** Home, then everything below. What stays the same does not flicker. */
const REDRAW = '\u001b[H\u001b[J'

/** Shows something again every second until the user has seen enough. Nobody answering is a part of the picture. */
export async function watch(call: Call, show: () => Promise<ExitCode>): Promise<ExitCode> {
  const { shell, signal } = call
  while (!signal.aborted) {
    if (shell.stdout.isTTY) await shell.stdout.write(REDRAW)
    try {
      await show()
    } catch (error) {
      if (!(error instanceof GrapevineError)) throw error
      if (error.code === 'aborted') break
      await shell.stderr.write(`${error.message}\n`)
    }
    await sleep(INTERVAL_MS, signal)
  }
  return EXIT.interrupted
}
