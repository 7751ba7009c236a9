import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { DOCUMENTED, makeReference } from './make-reference.ts'

const REFERENCE = resolve(import.meta.dirname, '../../docs/reference')

it.each(Object.keys(DOCUMENTED))(
  'docs/reference/%s is what its doc comments give (`UPDATE_DOCS=1` writes it anew)',
  async (name) => {
    const work = mkdtempSync(join(tmpdir(), 'grapevine-reference-'))
    try {
      await makeReference(name, work)
      const kept = join(REFERENCE, name)
      if (process.env['UPDATE_DOCS'] === '1') {
        rmSync(kept, { recursive: true, force: true })
        cpSync(work, kept, { recursive: true })
      }
      expect(readdirSync(kept).toSorted()).toEqual(readdirSync(work).toSorted())
      for (const page of readdirSync(work))
        expect(readFileSync(join(kept, page), 'utf8')).toBe(readFileSync(join(work, page), 'utf8'))
    } finally {
      rmSync(work, { recursive: true })
    }
  },
)
