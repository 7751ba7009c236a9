import { once } from 'node:events'

/** Where bytes of a command go. */
export interface Output {
  readonly isTTY: boolean
  /** Characters in a line. */
  readonly columns: number
  /** Resolves when there is room for more. */
  write(chunk: string | Uint8Array): Promise<void>
}

/** What a command was called from: a process, or a test. */
export interface Shell {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: AsyncIterable<Uint8Array>
  /** Whether a person sits at `stdin`, who can be asked. */
  readonly isInteractive: boolean
  /** Data, and nothing else. */
  readonly stdout: Output
  /** Everything that is not data. */
  readonly stderr: Output
  /** Fires at Ctrl-C or SIGTERM. Without a call the process's own handling stays. */
  interrupts(): AbortSignal
}

export function outputOf(stream: NodeJS.WriteStream): Output {
  return {
    isTTY: stream.isTTY,
    get columns() {
      return stream.columns ?? 80
    },
    async write(chunk) {
      if (!stream.write(chunk)) await once(stream, 'drain')
    },
  }
}
