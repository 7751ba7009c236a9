// Plants one bug, which `PLANTED_BUG` names, into the product's source as it is loaded:
//
//   PLANTED_BUG='the last to come wins' node --conditions=@grapevine/source --import ./plant.ts …
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { PLANTED_BUGS } from './bugs.ts'

const ROOT = join(import.meta.dirname, '../../..')
const name = process.env['PLANTED_BUG']
const bug = PLANTED_BUGS.find((planted) => planted.name === name)
if (bug === undefined) throw new Error(`there is no bug called ${name}`)
const { file, find, replace } = bug
const target = pathToFileURL(join(ROOT, file)).href

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    if (url !== target) return loaded
    const source = Buffer.from(loaded.source as Uint8Array).toString()
    if (source.split(find).length !== 2) throw new Error(`${file} does not hold once what the bug "${name}" changes`)
    return { ...loaded, source: source.replace(find, () => replace) }
  },
})
