import { OTHER_MEDIA_TYPES, PROBLEMS, type ProblemCode } from '@grapevine/contract'
import { SOFTWARE_VERSION } from '../software-version.ts'
import {
  ANSWER_HEADERS,
  COMMON_PROBLEMS,
  type AnswerOf,
  type HeaderName,
  type Operation,
  type Tag,
} from './operation.ts'
import { OPERATIONS } from './operations.ts'
import * as schemas from './schemas.ts'

/** Plain JSON. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }
export type JsonObject = Readonly<Record<string, Json>>

export const TAGS: Readonly<Record<Tag, string>> = {
  data: 'Values, lists, batches, watches',
  cluster: 'Who is there, and whether they agree',
  gossip: 'Peer sampling and what members tell each other',
  inspection: 'Which keys differ, and why',
  operation: 'What an operator may do',
  process: 'For whatever looks after the process',
}

const PATH_PARAMETERS: Readonly<Record<string, JsonObject>> = {
  bucket: { schema: { type: 'string', pattern: '^[a-z0-9][a-z0-9._-]{0,62}$' }, description: 'Name of the bucket.' },
  key: {
    schema: { type: 'string' },
    description: 'The key: 1 to 1,024 bytes, percent-encoded; slashes may stay. Any bytes with key_encoding=base64url.',
  },
  node: { schema: { type: 'string' }, description: 'Name, id, address or URL of a member.' },
  name: { schema: { type: 'string' }, description: 'Name of the value.' },
  file: { schema: { type: 'string' }, description: 'Name of the file.' },
}

/** The OpenAPI 3.1 description of everything that the client port answers. */
export function openApiDocument(): JsonObject {
  const paths: Record<string, Record<string, Json>> = {}
  const problems = new Map<string, Json>()
  for (const operation of OPERATIONS) {
    const methods = (paths[pathOf(operation)] ??= {})
    methods[operation.method.toLowerCase()] = describe(operation, true, problems)
    if (operation.hasHead) methods['head'] = describe(operation, false, problems)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Grapevine',
      version: SOFTWARE_VERSION,
      description: 'An eventually consistent, replicated key-value store. Any node takes any request.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, referring(schema, schema)])),
      responses: Object.fromEntries([...problems].toSorted(([a], [b]) => (a < b ? -1 : 1))),
      headers: Object.fromEntries(
        Object.entries(ANSWER_HEADERS).map(([name, schema]) => [name, { schema: referring(schema, schema) }]),
      ),
    },
  }
}

/** `/v1/kv/:bucket/*` as `/v1/kv/{bucket}/{key}`. */
export function pathOf({ pattern }: Pick<Operation, 'pattern'>): string {
  return pattern.replaceAll(/:(\w+)/g, '{$1}').replace('*', pattern.startsWith('/ui') ? '{file}' : '{key}')
}

/** @param problems gathers the answers that many operations have in common. */
function describe(operation: Operation, hasContent: boolean, problems: Map<string, Json>): JsonObject {
  const { tag, summary, description, body, answers } = operation
  const path = pathOf(operation)
  const responses: Record<string, Json> = {}
  for (const [status, answer] of Object.entries(answers)) responses[status] = responseOf(answer, hasContent)
  for (const [status, codes] of Map.groupBy([...operation.problems, ...COMMON_PROBLEMS], statusOf)) {
    const others = answers[status]?.schemas ?? {}
    const all = [...new Set(codes)].toSorted()
    const name = [status, ...all, ...(others === answers[status]?.schemas ? ['other'] : [])].join('-')
    if (!problems.has(name)) problems.set(name, problemResponse(all, others))
    responses[status] = { $ref: `#/components/responses/${name}` }
  }
  return {
    tags: [tag],
    operationId: `${hasContent ? operation.method.toLowerCase() : 'head'}${path.replaceAll(/[^a-zA-Z]+(\w)?/g, (_, next?: string) => next?.toUpperCase() ?? '')}`,
    summary,
    ...(description === undefined ? {} : { description }),
    parameters: [
      ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
        name,
        in: 'path',
        required: true,
        ...PATH_PARAMETERS[name],
      })),
      ...parametersOf(operation.query, 'query'),
      ...parametersOf(operation.headers, 'header'),
    ],
    ...(body === undefined ? {} : { requestBody: { required: body.required, content: contentOf(body.schemas) } }),
    responses,
  }
}

function parametersOf(parameters: Operation['query'], where: 'query' | 'header'): readonly JsonObject[] {
  return Object.entries(parameters).map(([name, schema]) => {
    const { description, ...rest } = referring(schema, schema)
    return { name, in: where, ...(description === undefined ? {} : { description }), schema: rest }
  })
}

function responseOf({ description, headers = [], schemas: bodies }: AnswerOf, hasContent: boolean): JsonObject {
  return {
    description,
    ...(headers.length > 0 ? { headers: headersOf(headers) } : {}),
    ...(bodies === undefined || !hasContent ? {} : { content: contentOf(bodies) }),
  }
}

function headersOf(names: readonly HeaderName[]): JsonObject {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

/** @param others what else the status may come with. */
function problemResponse(codes: readonly ProblemCode[], others: NonNullable<AnswerOf['schemas']>): JsonObject {
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].title}.`).join(' '),
    content: contentOf({ [OTHER_MEDIA_TYPES.problem]: schemas.Problem, ...others }),
  }
}

function contentOf(bodies: NonNullable<AnswerOf['schemas']>): JsonObject {
  return Object.fromEntries(Object.entries(bodies).map(([type, schema]) => [type, { schema: referring(schema) }]))
}

function statusOf(code: ProblemCode): number {
  return PROBLEMS[code].status
}

const NAMES: ReadonlyMap<unknown, string> = new Map(Object.entries(schemas).map(([name, schema]) => [schema, name]))

/** As JSON, with a reference in place of each schema that has a name; but `itself`, whose definition it is. */
function referring(value: unknown, itself?: object): JsonObject {
  return refer(value, itself) as JsonObject
}

function refer(value: unknown, itself?: object): Json {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value
  if (Array.isArray(value)) return value.map((item) => refer(item))
  const name = NAMES.get(value)
  if (name !== undefined && value !== itself) return { $ref: `#/components/schemas/${name}` }
  return Object.fromEntries(
    Object.entries(value as object)
      .filter(([, part]) => part !== undefined)
      .map(([key, part]) => [key, refer(part)]),
  )
}
