/**
 * As much of Standard Schema (https://standardschema.dev) as is needed: zod, valibot, arktype and others have it.
 * `Input` is what may be written, `Output` what is read.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** All issues in one sentence, each with where it is. */
export function describeIssues(issues: readonly SchemaIssue[]): string {
  return issues.map(({ message, path }) => (path?.length ? `${pathText(path)}: ${message}` : message)).join('; ')
}

function pathText(path: NonNullable<SchemaIssue['path']>): string {
  return path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.')
}
