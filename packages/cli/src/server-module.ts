// The one place where the command meets the server. Loading it takes longer than most commands run, so it is
// loaded only when a node is started or a configuration checked.

export type ServerModule = typeof import('@grapevine/server')

export function loadServer(): Promise<ServerModule> {
  return import('@grapevine/server')
}
