// What our processes asked of a real API server, by its audit log.

interface AuditEvent {
  readonly verb: string
  readonly requestReceivedTimestamp: string
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string }
}

const writing = new Set(['create', 'update', 'patch', 'delete', 'deletecollection'])
/** Creates of these answer a question and store nothing. */
const asking = new Set(['tokenreviews', 'subjectaccessreviews'])

/**
 * Requests in some periods, on average.
 * @param log lines of an audit log that has our accounts alone; undefined is returned when it is empty
 */
export function requestsOf(
  log: string,
  periods: readonly { readonly fromMs: number; readonly toMs: number }[],
): { readonly byVerb: Readonly<Record<string, number>>; readonly writes: number } | undefined {
  if (log.trim() === '') return undefined
  const counts = new Map<string, number>()
  let writes = 0
  for (const line of log.split('\n')) {
    if (line === '') continue
    const { verb, requestReceivedTimestamp, objectRef } = JSON.parse(line) as AuditEvent
    const atMs = Date.parse(requestReceivedTimestamp)
    if (!periods.some(({ fromMs, toMs }) => atMs >= fromMs && atMs <= toMs)) continue
    const { resource = 'none', subresource } = objectRef ?? {}
    const key = `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
    if (writing.has(verb) && !asking.has(resource) && subresource !== 'token') writes++
  }
  const mean = (count: number) => Number((count / periods.length).toFixed(1))
  const byVerb = Object.fromEntries([...counts].sort().map(([key, count]) => [key, mean(count)]))
  return { byVerb, writes: writes / periods.length }
}
