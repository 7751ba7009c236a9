import type { Command } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { loadServer } from '../server-module.ts'

export const server: Command = {
  name: 'server',
  summary: 'Run one node',
  usage: 'server [OPTIONS]',
  flags: {},
  examples: [
    'grapevine server --name n1 --data-dir ./n1 --found',
    'grapevine server --config /etc/grapevine.yaml --seed n1.example.org:7701',
  ],
  takes: { least: 0, most: Number.MAX_SAFE_INTEGER },
  ownsSignals: true,
  // Its options come from the server's configuration schema, which is not loaded for other commands.
  raw: true,
  async run({ args, shell }) {
    const { runServer } = await loadServer()
    const orphaned = new AbortController()
    // `grapevine dev` holds a channel to each of its nodes. When it is gone without a word, so are they.
    const onDisconnect = (): void => orphaned.abort()
    process.once('disconnect', onDisconnect)
    // Listening alone must not keep the process alive.
    process.channel?.unref()
    try {
      const code = await runServer(args, shell.env, { signal: orphaned.signal })
      return Object.values(EXIT).find((known) => known === code) ?? EXIT.error
    } finally {
      process.off('disconnect', onDisconnect)
    }
  },
}
