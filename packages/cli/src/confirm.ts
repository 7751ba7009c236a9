import type { Call } from './command.ts'
import { CommandError, EXIT } from './exit-code.ts'

/**
 * Makes sure that what cannot be undone is meant: by `--yes`, or by a person at the terminal who types it.
 * @param consequence a sentence.
 * @param command how to say the same without being asked.
 */
export async function confirm(call: Call, consequence: string, command: string): Promise<void> {
  const { flags, shell, signal } = call
  if (flags.has('yes')) return
  if (!shell.isInteractive) throw new CommandError(consequence, { exitCode: EXIT.usage, next: command })
  await shell.stderr.write(`${consequence}\nType yes to go on: `)
  const answer = await Promise.race([firstLine(shell.stdin), aborted(signal)])
  if (answer === undefined) throw new CommandError('Interrupted. Nothing was done.', { exitCode: EXIT.interrupted })
  if (answer.trim().toLowerCase() !== 'yes')
    throw new CommandError('Nothing was done.', { exitCode: EXIT.error, next: command })
}

async function firstLine(stdin: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of stdin) {
    text += decoder.decode(chunk, { stream: true })
    if (text.includes('\n')) break
  }
  return text.split('\n', 1)[0] ?? ''
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }))
}
