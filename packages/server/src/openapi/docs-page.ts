import { PROBLEMS } from '@grapevine/contract'
import { pathOf, TAGS, type Json, type JsonObject } from './document.ts'
import { COMMON_PROBLEMS, statusesOf, type Operation } from './operation.ts'
import { OPERATIONS } from './operations.ts'
import * as schemas from './schemas.ts'

/** The description for people: one page that needs no script and nothing from elsewhere. */
export function docsPage(document: JsonObject): string {
  const tags = Object.entries(TAGS)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Grapevine: the HTTP interface</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Grapevine: the HTTP interface</h1>
<p>Any node takes any request. Bytes in, bytes out. The same as OpenAPI 3.1: <a href="/openapi.json">/openapi.json</a>.</p>
<pre>curl -X PUT --data 'hello' -H 'content-type: text/plain' HOST/v1/kv/things/greeting
curl HOST/v1/kv/things/greeting
curl -N HOST/v1/watch/things</pre>
<nav>${tags.map(([tag]) => `<a href="#${tag}">${tag}</a>`).join(' ')} <a href="#schemas">schemas</a> <a href="#problems">problems</a></nav>
</header>
<main>
${tags.map(([tag, what]) => section(tag, what)).join('\n')}
<section id="schemas"><h2>schemas</h2>
${Object.keys(schemas)
  .map(
    (name) =>
      `<details id="schema-${name}"><summary><code>${name}</code></summary>${schemaText(document, name)}</details>`,
  )
  .join('\n')}
</section>
<section id="problems"><h2>problems</h2>
<p>Every answer that is not a success is <code>application/problem+json</code>. Of a write, <code>outcome</code> says what became
of it: <code>not-applied</code>, or <code>unknown</code>. Any request may be answered with ${codesText(COMMON_PROBLEMS)}.</p>
<table><tr><th>code<th>status<th>title<th>retryable</tr>
${Object.entries(PROBLEMS)
  .map(([code, { status, title, retryable }]) => row(`<code>${code}</code>`, status, title, retryable ? 'yes' : 'no'))
  .join('\n')}
</table></section>
</main>
</body>
</html>
`
}

function section(tag: string, what: string): string {
  const operations = OPERATIONS.filter((operation) => operation.tag === tag)
  return `<section id="${tag}"><h2>${tag}</h2><p>${escape(what)}.</p>\n${operations.map(operationText).join('\n')}\n</section>`
}

function operationText(operation: Operation): string {
  const { method, summary, description, query, headers, body, answers, problems, hasHead } = operation
  const parameters = [...Object.entries(query), ...Object.entries(headers)]
  return `<details><summary><b>${method}${hasHead ? ', HEAD' : ''}</b> <code>${pathOf(operation)}</code> ${escape(summary)}</summary>
${description === undefined ? '' : `<p>${escape(description)}</p>`}
${parameters.length === 0 ? '' : `<table><tr><th>query, header<th></tr>${parameters.map(([name, schema]) => row(`<code>${name}</code>`, describeSchema(schema))).join('')}</table>`}
${body === undefined ? '' : `<p>Body${body.required ? '' : ' (may be left out)'}: ${bodiesText(body.schemas)}</p>`}
<table><tr><th>answer<th></tr>${Object.entries(answers)
    .map(([status, answer]) =>
      row(status, `${escape(answer.description)} ${answer.schemas ? bodiesText(answer.schemas) : ''}`),
    )
    .join('')}${problems.length === 0 ? '' : row(problemStatuses(operation), codesText(problems))}</table>
</details>`
}

function problemStatuses(operation: Operation): string {
  const common = new Set(COMMON_PROBLEMS.map((code) => PROBLEMS[code].status))
  const statuses = [...statusesOf({ ...operation, answers: {} })]
  const own = new Set(operation.problems.map((code) => PROBLEMS[code].status))
  return statuses
    .filter((status) => own.has(status) || !common.has(status))
    .toSorted((a, b) => a - b)
    .join(', ')
}

function bodiesText(bodies: Readonly<Record<string, unknown>>): string {
  return Object.entries(bodies)
    .map(([type, schema]) => {
      const name = Object.entries(schemas).find(([, named]) => named === schema)?.[0]
      const link = name === undefined ? '' : ` <a href="#schema-${name}">${name}</a>`
      return `<code>${type}</code>${link}`
    })
    .join(', ')
}

function describeSchema(schema: unknown): string {
  const { description, enum: words } = schema as { description?: string; enum?: readonly string[] }
  const choice = words === undefined ? '' : ` One of ${words.map((word) => `<code>${word}</code>`).join(', ')}.`
  return inCode(description ?? '') + choice
}

function codesText(codes: readonly string[]): string {
  return codes.map((code) => `<code>${code}</code>`).join(', ')
}

function schemaText(document: JsonObject, name: string): string {
  const components = document['components'] as { schemas: Readonly<Record<string, Json>> }
  return `<pre>${escape(JSON.stringify(components.schemas[name], null, 2))}</pre>`
}

function row(...cells: readonly (string | number)[]): string {
  return `<tr>${cells.map((cell) => `<td>${cell}`).join('')}</tr>`
}

/** Words between backquotes are code. */
function inCode(text: string): string {
  return escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>')
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

const STYLE = `
:root { font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
code, pre { font: 0.9em ui-monospace, monospace; }
pre { overflow-x: auto; padding: 0.75rem; border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: 4px; }
nav a { margin-right: 1rem; }
details { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: 0.4rem 0; }
summary { cursor: pointer; }
table { border-collapse: collapse; margin: 0.5rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.2rem 1rem 0.2rem 0; }
`
