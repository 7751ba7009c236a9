import { execFileSync } from 'node:child_process'
import { join, resolve } from 'node:path'

/** Real processes run what is shipped, so what is shipped must be what is here. */
export default function build(): void {
  const top = resolve(import.meta.dirname, '../..')
  execFileSync(join(top, 'node_modules/.bin/tsc'), ['-b', 'packages/server', 'packages/cli'], {
    cwd: top,
    stdio: 'inherit',
  })
}
