import type { ConfigSetting } from '@grapevine/contract'
import { openNodeOrCluster } from '../cluster-access.ts'
import type { Call, Command } from '../command.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { printDocument } from '../output/print.ts'
import { tableLines, type Column } from '../output/table.ts'
import { loadServer } from '../server-module.ts'
import { UsageError } from '../usage-error.ts'

export const config: Command = {
  name: 'config',
  summary: "A node's configuration, or a file's mistakes",
  usage: 'config print [NODE] | config check FILE',
  details:
    'print: what holds on a running node, and where each value comes from. check: all that is wrong with a file, without\nstarting anything; exits 1 when something is.',
  flags: {},
  examples: ['grapevine config print n1', 'grapevine config check /etc/grapevine.yaml'],
  takes: { least: 1, most: 2 },
  async run(call) {
    const [verb = '', subject] = call.args
    if (verb === 'print') return print(call, subject)
    if (verb !== 'check') throw new UsageError(`config can print and check, but not ${JSON.stringify(verb)}.`)
    if (subject === undefined) throw new UsageError('Name the file to check.')
    return check(call, subject)
  },
}

async function print(call: Call, node: string | undefined): Promise<ExitCode> {
  await using grapevine = await openNodeOrCluster(call, node)
  const body = await grapevine.admin.config({ signal: call.signal })
  await printDocument(call, body, (style) => tableLines(SETTINGS, body.settings, style))
  return EXIT.good
}

async function check(call: Call, file: string): Promise<ExitCode> {
  const { checkConfig } = await loadServer()
  const mistakes = checkConfig(file).map(({ path, value, source, message, hint }) => {
    return { path, value, at: source.at, message, hint }
  })
  await printDocument(call, { file, mistakes }, (style) => {
    if (mistakes.length === 0) return style.good(`${file} can be used.\n`)
    return mistakes
      .map(({ path, value, at, message, hint }) => {
        return `${at}: ${style.bold(path)}${value === '' ? '' : ` = ${value}`} ${message}\n  Next: ${hint}\n`
      })
      .join('')
  })
  return mistakes.length === 0 ? EXIT.good : EXIT.error
}

const SETTINGS: readonly Column<ConfigSetting>[] = [
  { title: 'OPTION', text: ({ path }) => path },
  { title: 'VALUE', text: ({ value }) => (typeof value === 'string' ? value : JSON.stringify(value)) },
  { title: 'FROM', text: ({ source }) => source },
]
