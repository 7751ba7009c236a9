/** A page with its tables written anew, each between a comment that names it and one that ends it. */
export function withTables(page: string, tables: Readonly<Record<string, string>>): string {
  let updated = page
  for (const [name, rows] of Object.entries(tables)) {
    const [from, to] = [`<!-- table: ${name} -->\n`, `<!-- end: ${name} -->\n`]
    const start = updated.indexOf(from)
    const end = updated.indexOf(to)
    if (start < 0 || end < start) throw new Error(`the page has no place for the table "${name}"`)
    updated = updated.slice(0, start + from.length) + rows + updated.slice(end)
  }
  return updated
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('')
}
