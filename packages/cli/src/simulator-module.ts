// Loaded only when something is simulated, as the server is when a node is started.

export type SimulatorModule = typeof import('@grapevine/simulator')

export function loadSimulator(): Promise<SimulatorModule> {
  return import('@grapevine/simulator')
}
