import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const TOP = resolve(import.meta.dirname, '../..')

/** A comment that names a file, and perhaps a region of it, and the block of code below it. */
const INCLUDED = /<!-- code: ([\w./-]+)(?:#(\w+))? -->\n```(\w+)\n(?:[\s\S]*?\n)??```\n/g

/** The page with each block of code that a comment says the origin of as that file has it now. */
export function withCode(page: string): string {
  return page.replace(INCLUDED, (_, path: string, region: string | undefined, language: string) => {
    const origin = region === undefined ? path : `${path}#${region}`
    return `<!-- code: ${origin} -->\n\`\`\`${language}\n${codeOf(path, region)}\n\`\`\`\n`
  })
}

/** The files that a page takes code from. */
export function originsIn(page: string): string[] {
  return [...page.matchAll(INCLUDED)].map(([, path = '']) => path)
}

function codeOf(path: string, region: string | undefined): string {
  const text = readFileSync(join(TOP, path), 'utf8')
  if (region === undefined) return text.trimEnd()
  const [, code] = new RegExp(`//#region ${region}\\n([\\s\\S]*?)\\n//#endregion`).exec(text) ?? []
  if (code === undefined) throw new Error(`${path} has no region ${region}`)
  return code
}
