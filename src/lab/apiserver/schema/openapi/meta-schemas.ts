import type { JsonObject } from '../record.ts'
import {
  anything,
  atomic,
  flag,
  int64,
  keyed,
  list,
  object,
  text,
  textMap,
  textSet,
  texts,
  time,
} from './builders.ts'

const ownerReference: JsonObject = object(
  'Another object that this one belongs to.',
  {
    apiVersion: text('API version of the owner.'),
    kind: text('Kind of the owner.'),
    name: text('Name of the owner.'),
    uid: text('Unique id of the owner; names are reused, ids are not.'),
    controller: flag('Whether the owner manages this object.'),
    blockOwnerDeletion: flag('Whether a foreground deletion of the owner waits for this object.'),
  },
  ['apiVersion', 'kind', 'name', 'uid'],
)

/** `ObjectMeta` of meta/v1. */
export const objectMeta: JsonObject = object('Name, labels and life cycle of an object.', {
  name: text('Name, unique among the objects of this kind (in its namespace).'),
  generateName: text('Prefix of a name that the server completes, when there is no name.'),
  namespace: text('Namespace that the object lives in; absent for cluster-scoped kinds.'),
  uid: text('Unique id, given by the server.'),
  resourceVersion: text(
    'Opaque version of the stored object. An update that carries it fails when it is not the newest.',
  ),
  generation: int64('Counts the changes of the spec.'),
  creationTimestamp: time('When the object was created.'),
  deletionTimestamp: time('When deletion was asked for; the object goes when its finalizers are gone.'),
  deletionGracePeriodSeconds: int64('Seconds that the object may take to end.'),
  labels: textMap('Short texts that selectors match.'),
  annotations: textMap('Texts for tools and people.'),
  finalizers: textSet('Names that must be removed before the object is really deleted.'),
  ownerReferences: keyed('Owners; when all are gone this object is deleted too.', atomic(ownerReference), [
    'uid',
  ]),
  managedFields: list('Which manager applied which fields.', anything('The fields of one manager.')),
})

/** `LabelSelector` of meta/v1. */
export const labelSelector = (description: string): JsonObject =>
  atomic(
    object(description, {
      matchLabels: textMap('Labels that must be there with these values.'),
      matchExpressions: list(
        'Requirements that must all hold.',
        object(
          'One requirement on labels.',
          {
            key: text('The label.'),
            operator: text('In, NotIn, Exists or DoesNotExist.'),
            values: texts('Values for In and NotIn.'),
          },
          ['key', 'operator'],
        ),
      ),
    }),
  )

/** Conditions of a status. */
export const conditions: JsonObject = keyed(
  'Observations of the state, one of each type.',
  object(
    'One observation.',
    {
      type: text('What is observed.'),
      status: text('True, False or Unknown.'),
      reason: text('One word for programs.'),
      message: text('A sentence for people.'),
      lastTransitionTime: time('When the status changed last.'),
    },
    ['type', 'status'],
  ),
  ['type'],
)

export const localReference = (description: string): JsonObject =>
  atomic(object(description, { name: text('Name of the object, in the same namespace.') }))
