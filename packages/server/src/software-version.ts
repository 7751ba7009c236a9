import { readFileSync } from 'node:fs'

/** As in this package's package.json, which is beside `src` and beside `dist`. */
export const SOFTWARE_VERSION: string = versionOf(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

function versionOf(manifest: string): string {
  const { version }: { version?: unknown } = JSON.parse(manifest)
  return typeof version === 'string' ? version : 'unknown'
}
