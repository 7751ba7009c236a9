import { join, resolve } from 'node:path'
import { Application, type TypeDocOptions } from 'typedoc'
import type { PluginOptions } from 'typedoc-plugin-markdown'

const TOP = resolve(import.meta.dirname, '../..')

/** What people install, each with the files that they import. */
export const DOCUMENTED: Readonly<Record<string, readonly string[]>> = {
  client: ['index', 'node', 'memory', 'outbox', 'admin'],
  keyv: ['index'],
  unstorage: ['index'],
}

/**
 * Writes the reference of one package, made of its doc comments, into a directory.
 * Throws for a link that leads nowhere, and for a type that is used and not exported.
 */
export async function makeReference(name: string, directory: string): Promise<void> {
  const at = join(TOP, 'packages', name)
  const options: TypeDocOptions & PluginOptions = {
    plugin: ['typedoc-plugin-markdown'],
    tsconfig: join(at, 'tsconfig.json'),
    entryPoints: (DOCUMENTED[name] ?? []).map((file) => join(at, 'src', `${file}.ts`)),
    name: `@grapevine/${name}`,
    out: directory,
    readme: 'none',
    excludeInternal: true,
    excludePrivate: true,
    excludeExternals: true,
    excludeReferences: true,
    disableSources: true,
    hidePageHeader: true,
    hideBreadcrumbs: true,
    outputFileStrategy: 'modules',
    entryFileName: 'README',
    parametersFormat: 'table',
    interfacePropertiesFormat: 'table',
    typeDeclarationFormat: 'table',
    enumMembersFormat: 'table',
    propertyMembersFormat: 'table',
    useCodeBlocks: true,
    expandParameters: true,
    logLevel: 'Warn',
  }
  const application = await Application.bootstrapWithPlugins(options)
  const project = await application.convert()
  if (project === undefined) throw new Error(`the reference of ${name} cannot be made`)
  await application.generateOutputs(project)
  if (application.logger.hasErrors() || application.logger.hasWarnings())
    throw new Error(`the reference of ${name} has mistakes: see above`)
}
