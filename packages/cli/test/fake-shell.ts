import type { Output, Shell } from '@grapevine/cli'

export class FakeOutput implements Output {
  text = ''
  readonly bytes: Uint8Array[] = []
  readonly isTTY: boolean
  readonly columns = 80

  constructor(isTTY: boolean) {
    this.isTTY = isTTY
  }

  async write(chunk: string | Uint8Array): Promise<void> {
    const bytes = Buffer.from(chunk)
    this.bytes.push(bytes)
    this.text += bytes.toString()
  }
}

export interface FakeShellOptions {
  readonly env?: Record<string, string>
  readonly stdin?: string | AsyncIterable<Uint8Array>
  readonly isTTY?: boolean
}

/** A shell that a test can look at. Its data directory is one that is not there. */
export class FakeShell implements Shell {
  readonly env: Record<string, string>
  readonly stdin: AsyncIterable<Uint8Array>
  readonly isInteractive: boolean
  readonly stdout: FakeOutput
  readonly stderr: FakeOutput
  readonly interrupt = new AbortController()

  constructor({ env = {}, stdin = '', isTTY = false }: FakeShellOptions = {}) {
    this.env = { GRAPEVINE_DATA_DIR: '/nonexistent/grapevine', ...env }
    this.stdin = typeof stdin === 'string' ? once(stdin) : stdin
    this.isInteractive = isTTY
    this.stdout = new FakeOutput(isTTY)
    this.stderr = new FakeOutput(isTTY)
  }

  interrupts(): AbortSignal {
    return this.interrupt.signal
  }
}

async function* once(text: string): AsyncGenerator<Uint8Array, void, void> {
  if (text !== '') yield Buffer.from(text)
}
