// Installs and builds what a fresh clone needs, then runs one command on the project's own Node.
//
//   node packages/setup.mjs [COMMAND [ARGUMENT ...]]
//
// It is plain JavaScript and uses nothing but Node itself, because it runs before anything is installed, on
// whatever Node (≥ 20) the machine has. The `node` package of the workspace then brings Node 24, which comes
// first on the PATH of the command.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, join, resolve } from 'node:path'

const PNPM = 'pnpm@12.21.0'
const top = resolve(import.meta.dirname, '..')
const binaries = join(top, 'node_modules', '.bin')
const windows = process.platform === 'win32'
const env = { ...process.env, PATH: `${binaries}${delimiter}${process.env.PATH ?? ''}` }

if (isStale()) run('npx', ['-y', PNPM, 'install', '--frozen-lockfile'], 'installing (once) …')
run(join(binaries, 'tsc'), ['-b'], undefined)

const [command, ...args] = process.argv.slice(2)
if (command !== undefined) {
  const child = spawn(join(binaries, command), args, { cwd: top, env, stdio: 'inherit', shell: windows })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // A terminal sends Ctrl-C to the child as well: here it must only not end us before the child has ended.
    process.on(signal, () => signal === 'SIGINT' || child.kill(signal))
  }
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal ?? 'SIGTERM'] ?? 0)
  })
}

/** Whether the lockfile has changed since the last install. */
function isStale() {
  const installed = join(top, 'node_modules', '.modules.yaml')
  if (!existsSync(installed)) return true
  return statSync(join(top, 'pnpm-lock.yaml')).mtimeMs > statSync(installed).mtimeMs
}

function run(file, parameters, message) {
  if (message !== undefined) process.stderr.write(`grapevine: ${message}\n`)
  const { status, error } = spawnSync(file, parameters, { cwd: top, env, stdio: ['ignore', 2, 2], shell: windows })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}
