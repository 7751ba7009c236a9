import type { Command } from '../command.ts'
import { CommandError, EXIT } from '../exit-code.ts'
import { helpOf } from '../help.ts'

/** What the command is to do one day. Known by name, so that nobody takes it for a misspelling. */
export const UNBUILT: readonly Command[] = [
  unbuilt('doctor', 'Find what is unwell', 'doctor', 'grapevine status'),
  unbuilt('gossip', 'Look into the gossip', 'gossip rumors | tail | aggregates', 'grapevine members'),
  unbuilt('explain', 'Why a key has the value it has', 'explain BUCKET KEY', 'grapevine inspect BUCKET KEY'),
  unbuilt('verify', 'Check the proof for a key', 'verify BUCKET KEY', 'grapevine inspect BUCKET KEY'),
  unbuilt('bench', 'Measure a cluster', 'bench', 'grapevine status'),
  unbuilt('completion', 'Completion for a shell', 'completion bash | zsh | fish', 'grapevine --help'),
]

function unbuilt(name: string, summary: string, usage: string, instead: string): Command {
  return {
    name,
    summary: `${summary} (not implemented yet)`,
    usage,
    flags: {},
    examples: [`grapevine ${usage.split(' | ')[0]}`, instead],
    takes: { least: 0, most: Number.MAX_SAFE_INTEGER },
    // Its options are not known yet, so none of them can be wrong.
    raw: true,
    async run({ args, shell }) {
      if (args.includes('--help') || args.includes('-h')) {
        await shell.stdout.write(helpOf(this, {}))
        return EXIT.good
      }
      throw new CommandError(`grapevine ${name} is not implemented yet.`, { next: instead })
    },
  }
}
