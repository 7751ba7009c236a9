import { readFileSync } from 'node:fs'

/** This package's version. Found beside `src` and beside `dist` alike. */
export function softwareVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  const { version }: { readonly version: string } = JSON.parse(text)
  return version
}
