import { runCommandLine } from './command-line.ts'
import { EXIT } from './exit-code.ts'
import { outputOf, type Shell } from './shell.ts'

// Whoever reads us may have seen enough: `grapevine list b | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.good : EXIT.error),
)
// An import goes on, though nobody listens to what it tells.
process.stderr.on('error', () => {})

const shell: Shell = {
  env: process.env,
  stdin: process.stdin,
  isInteractive: process.stdin.isTTY,
  stdout: outputOf(process.stdout),
  stderr: outputOf(process.stderr),
  interrupts() {
    const controller = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        // Whoever asks twice does not want to wait.
        if (controller.signal.aborted) process.exit(EXIT.interrupted)
        controller.abort()
      })
    return controller.signal
  },
}

const code = await runCommandLine(process.argv.slice(2), shell)
// What was interrupted may still be waiting for something that never comes.
if (code === EXIT.interrupted) process.exit(code)
process.exitCode = code
process.stdin.destroy()
