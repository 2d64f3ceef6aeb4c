/**
 * What every room may use: branded values, errors, ports for time, random numbers and logs, exact JSON.
 * Types to know: `OperationError`, `Clock`, `Logger`. This room knows nothing of networks or Kubernetes.
 */
export { Backoff } from './backoff.ts'
export type { Brand } from './brand.ts'
export { type Deadline, deadlineAfter } from './deadline.ts'
export {
  AssertionError,
  assert,
  InvalidInputError,
  OperationError,
  type Retry,
  showValue,
  toError,
  undone,
  unreachable,
} from './errors.ts'
export { type Json, parseJson, stringifyJson } from './json.ts'
export { joinJsonMembers, jsonElements, jsonMemberList, jsonMembers } from './json-members.ts'
export { type Counter, type CounterOptions, type GaugeOptions, Metrics } from './metrics.ts'
export { nodeHttp, nodeHttps } from './node-http.ts'
export type { Clock, LogFields, Logger, Random } from './ports.ts'
export { StepTimes } from './step-times.ts'
export { jsonLogger, type LogLevel, silentLogger, systemClock, systemRandom } from './system.ts'
