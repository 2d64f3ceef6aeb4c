import type { JsonObject } from '../record.ts'
import {
  anything,
  type Fields,
  flag,
  int32,
  int64,
  intOrString,
  kind,
  list,
  object,
  text,
  textMap,
  time,
} from './builders.ts'
import { conditions, labelSelector, objectMeta } from './meta-schemas.ts'
import { podTemplate, rollingStrategy } from './pod-schemas.ts'

const counts = (names: readonly string[]): Fields =>
  Object.fromEntries(names.map((name) => [name, int32(`Counted pods: ${name}.`)]))

const status = (names: readonly string[], more: Fields = {}): JsonObject =>
  object('What is observed.', {
    observedGeneration: int64('Generation of the spec that this status is about.'),
    ...counts(names),
    conditions,
    ...more,
  })

const selector = labelSelector('Pods that belong to this object.')
const replicas = int32('How many pods are wanted; 1 when absent.')
const minReadySeconds = int32('Seconds that a new pod must be ready to count as available.')
const revisionHistoryLimit = int32('How many old revisions are kept.')

const workload = (
  description: string,
  fields: Fields,
  required: readonly string[],
  state: JsonObject,
): JsonObject => kind(description, { spec: object('What is wanted.', fields, required), status: state })

const jobFields: Fields = {
  parallelism: int32('Pods at a time.'),
  completions: int32('Pods that must succeed.'),
  backoffLimit: int32('Failures after which the Job fails.'),
  activeDeadlineSeconds: int64('Seconds that the Job may run.'),
  ttlSecondsAfterFinished: int32('Seconds that a finished Job is kept.'),
  completionMode: text('NonIndexed or Indexed.'),
  manualSelector: flag('Whether the selector was written by hand.'),
  suspend: flag('Whether no pods are to run.'),
  selector,
  template: podTemplate,
}

/** Kinds of apps/v1 and batch/v1. */
export const workloadKinds: Readonly<Record<string, JsonObject>> = {
  'apps/v1/Deployment': workload(
    'Keeps a number of equal pods, and replaces them step by step when their template changes.',
    {
      replicas,
      selector,
      template: podTemplate,
      strategy: rollingStrategy('How old pods are replaced: RollingUpdate or Recreate.'),
      minReadySeconds,
      revisionHistoryLimit,
      paused: flag('Whether changes of the template wait.'),
      progressDeadlineSeconds: int32('Seconds without progress after which it is reported as failed.'),
    },
    ['selector', 'template'],
    status([
      'replicas',
      'updatedReplicas',
      'readyReplicas',
      'availableReplicas',
      'unavailableReplicas',
      'collisionCount',
    ]),
  ),
  'apps/v1/ReplicaSet': workload(
    'Keeps a number of equal pods.',
    { replicas, selector, template: podTemplate, minReadySeconds },
    ['selector'],
    status(['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas']),
  ),
  'apps/v1/StatefulSet': workload(
    'Keeps pods with stable names, one after the other.',
    {
      replicas,
      selector,
      template: podTemplate,
      serviceName: text('Service that gives the pods their names.'),
      podManagementPolicy: text('OrderedReady or Parallel.'),
      updateStrategy: rollingStrategy('RollingUpdate or OnDelete.'),
      volumeClaimTemplates: list('Claims that each pod gets.', anything('One claim.')),
      ordinals: object('Numbers of the pods.', { start: int32('First number.') }),
      persistentVolumeClaimRetentionPolicy: anything('When claims are deleted.'),
      minReadySeconds,
      revisionHistoryLimit,
    },
    ['selector', 'template'],
    status(
      [
        'replicas',
        'readyReplicas',
        'currentReplicas',
        'updatedReplicas',
        'availableReplicas',
        'collisionCount',
      ],
      {
        currentRevision: text('Revision of the pods that are not updated yet.'),
        updateRevision: text('Revision that pods are updated to.'),
      },
    ),
  ),
  'apps/v1/DaemonSet': workload(
    'Runs one pod on each node that it selects.',
    {
      selector,
      template: podTemplate,
      updateStrategy: rollingStrategy('RollingUpdate or OnDelete.'),
      minReadySeconds,
      revisionHistoryLimit,
    },
    ['selector', 'template'],
    status([
      'currentNumberScheduled',
      'desiredNumberScheduled',
      'numberAvailable',
      'numberMisscheduled',
      'numberReady',
      'numberUnavailable',
      'updatedNumberScheduled',
    ]),
  ),
  'apps/v1/ControllerRevision': kind('One state of a template.', {
    revision: int64('Its number.'),
    data: anything('The state.'),
  }),
  'batch/v1/Job': workload(
    'Runs pods until enough of them have succeeded.',
    jobFields,
    ['template'],
    status(['active', 'succeeded', 'failed', 'ready'], {
      startTime: time('When it was started.'),
      completionTime: time('When it was complete.'),
    }),
  ),
  'batch/v1/CronJob': workload(
    'Makes Jobs by a timetable.',
    {
      schedule: text('Timetable of five fields, as cron has it.'),
      timeZone: text('Time zone of the timetable.'),
      concurrencyPolicy: text('Allow, Forbid or Replace.'),
      suspend: flag('Whether no Jobs are made.'),
      startingDeadlineSeconds: int64('Seconds that a Job may start late.'),
      successfulJobsHistoryLimit: int32('Finished Jobs that are kept.'),
      failedJobsHistoryLimit: int32('Failed Jobs that are kept.'),
      jobTemplate: object('What each Job is made from.', {
        metadata: objectMeta,
        spec: object('The Job.', jobFields, ['template']),
      }),
    },
    ['schedule', 'jobTemplate'],
    object('What is observed.', {
      lastScheduleTime: time('When the last Job was made.'),
      active: list('Running Jobs.', anything('One Job.')),
    }),
  ),
  'policy/v1/PodDisruptionBudget': workload(
    'Limits how many pods may be missing by will.',
    {
      minAvailable: intOrString('Pods that must stay.'),
      maxUnavailable: intOrString('Pods that may go.'),
      selector: labelSelector('Pods that are counted.'),
    },
    [],
    status(['currentHealthy', 'desiredHealthy', 'disruptionsAllowed', 'expectedPods'], {
      disruptedPods: textMap('Pods on their way out.'),
    }),
  ),
}
