/** One number of a node's `/metrics`, its lines of that name summed up. */
export async function metricOf({ url }: { readonly url: string }, metric: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line.startsWith(`${metric} `) || line.startsWith(`${metric}{`))
  if (lines.length === 0) throw new Error(`${url} has no ${metric}`)
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
