import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import type { Mistake } from './load.ts'

export type FileValue = string | number | boolean | null | readonly FileValue[]

export interface FileEntry {
  /** With dots between the levels. */
  readonly path: string
  readonly value: FileValue
  /** File and line. */
  readonly at: string
}

/** Levels of grouping in the file. The options have two; this only stops what is no configuration. */
const DEPTH_MAX = 4

/**
 * Reads YAML or JSON (which is YAML). The document's nodes are walked instead of turned into objects, so that
 * each value knows its line, and a key such as `__proto__` is a key like any other.
 */
export function parseConfigFile(
  text: string,
  file: string,
): { readonly values: readonly FileEntry[]; readonly mistakes: readonly Mistake[] } {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, schema: 'core', merge: false })
  const values: FileEntry[] = []
  const mistakes: Mistake[] = []

  const at = (offset: number | undefined): string =>
    offset === undefined ? file : `${file}:${lines.linePos(offset).line}`
  const mistake = (path: string, offset: number | undefined, message: string, hint: string): void => {
    mistakes.push({ path, value: '', source: { kind: 'file', at: at(offset) }, message, hint })
  }

  for (const error of document.errors) {
    const message = `cannot be parsed: ${error.message.split('\n', 1)[0] ?? ''}`
    mistake('config', error.pos[0], message, 'write YAML or JSON')
  }
  if (mistakes.length > 0) return { values, mistakes }

  const walk = (node: unknown, prefix: string, depth: number): void => {
    if (!isMap(node) || depth > DEPTH_MAX) {
      mistake(prefix || 'config', rangeOf(node), 'is not what belongs here', 'write options as `name: value`')
      return
    }
    for (const { key, value } of node.items) {
      const path = `${prefix === '' ? '' : `${prefix}.`}${isScalar(key) ? String(key.value) : '?'}`
      if (isMap(value)) walk(value, path, depth + 1)
      else {
        const plain = plainOf(value)
        const from = rangeOf(key)
        if (plain === undefined) mistake(path, from, 'is not what belongs here', 'write a value or a list of values')
        else values.push({ path, value: plain, at: at(from) })
      }
    }
  }
  // An empty file is an empty configuration.
  if (document.contents !== null && !(isScalar(document.contents) && document.contents.value === null))
    walk(document.contents, '', 1)
  return { values, mistakes }
}

function plainOf(node: unknown): FileValue | undefined {
  if (node === null || node === undefined) return null
  if (isScalar(node)) {
    const { value } = node
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === null
      ? value
      : undefined
  }
  if (!isSeq(node)) return undefined
  const items = node.items.map((item) => (isSeq(item) ? undefined : plainOf(item)))
  return items.every((item) => item !== undefined) ? items : undefined
}

function rangeOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}
