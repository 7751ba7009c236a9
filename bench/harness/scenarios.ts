/** In the order in which they run and are reported. The name is that of the file. */
export const SCENARIOS = [
  'b1-spread',
  'b2-demers',
  'b3-million',
  'b4-loss',
  'b9-tree',
  'b10-put',
  'b11-get',
  'b12-batch',
  'b13-detector',
  'b14-deletes',
  'b16-visibility',
  'b16-client',
  'b17-memory',
  'b19-cycles',
  'b20-snapshot',
] as const

export type ScenarioName = (typeof SCENARIOS)[number]

/** `b10` is as good as `b10-put`, and so is `put`. */
export function findScenario(text: string): ScenarioName | undefined {
  return SCENARIOS.find((name) => name === text || name.split('-').includes(text))
}
