import type { ServerResponse } from 'node:http'
import { MEDIA_TYPES } from '@grapevine/contract'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { routeGet } from '../http/route.ts'
import { docsPage } from '../openapi/docs-page.ts'
import { openApiDocument } from '../openapi/document.ts'
import { takeNoQuery } from './cluster.ts'

/** `/openapi.json` for programs and `/docs` for people: both from the operations by which routes are checked. */
export function registerDocumentationRoutes(app: FastifyInstance, context: ServerContext): void {
  let made: { readonly json: string; readonly page: string } | undefined
  // Hardly anybody asks, so nobody waits for it at the start.
  const texts = (): NonNullable<typeof made> => {
    if (made !== undefined) return made
    const document = openApiDocument()
    made = { json: JSON.stringify(document, null, 2), page: docsPage(document) }
    return made
  }
  routeGet(app, context, '/openapi.json', (request, response) => {
    takeNoQuery(request)
    sendText(response, texts().json, MEDIA_TYPES.json)
  })
  routeGet(app, context, '/docs', (request, response) => {
    takeNoQuery(request)
    // It loads nothing and runs nothing.
    response.setHeader('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
    sendText(response, texts().page, 'text/html; charset=utf-8')
  })
}

function sendText(response: ServerResponse, text: string, type: string): void {
  const bytes = Buffer.from(text)
  response.writeHead(200, { 'content-type': type, 'content-length': bytes.length, 'cache-control': 'no-cache' })
  response.end(bytes)
}
