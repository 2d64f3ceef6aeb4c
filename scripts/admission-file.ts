import { ruleCases } from '../test/support/webhook-cases/cases.ts'
import { failsClosed, type RuleCase } from '../test/support/webhook-cases/rule-case.ts'
import { ruleTitles } from '../test/support/webhook-cases/titles.ts'

/** The file that {@link admissionText} is for, from the top of the repository. */
export const admissionFile = 'docs/admission.md'
/** What is below this line is generated. */
export const admissionMark =
  '<!-- Below: generated from test/support/webhook-cases by `npm run generate`. -->'

/** One line for each rule, from the cases that test/integration/webhook-rules.test.ts carries out. */
export function admissionText(): string {
  const rows = Object.entries(ruleTitles).map(([rule, title]) => {
    const refused = ruleCases.filter((one) => one.rule === rule && one.refused !== undefined)
    return `| ${rule} | ${title} | ${holdersOf(refused)} | ${whileDown(refused)} |`
  })
  const head = [
    '| rule | what must be | held by | while the webhooks are down |',
    '| --- | --- | --- | --- |',
  ]
  return [...head, ...rows, ''].join('\n')
}

const isSchema = ({ refused }: RuleCase): boolean => refused?.schema !== undefined

function holdersOf(refused: readonly RuleCase[]): string {
  const bySchema = refused.some(isSchema)
  const byWebhook = refused.some((one) => !isSchema(one))
  return [...(bySchema ? ['CRD'] : []), ...(byWebhook ? ['webhook'] : [])].join(', ')
}

function whileDown(refused: readonly RuleCase[]): string {
  const fates = new Map<string, string[]>()
  for (const one of refused) {
    const fate = isSchema(one) ? 'refused' : failsClosed(one) ? 'refused, unchecked' : 'accepted'
    fates.set(fate, [...(fates.get(fate) ?? []), one.what])
  }
  if (fates.size === 1) return [...fates.keys()].join()
  const parts = [...fates].map(([fate, whats]) =>
    fate === 'refused' ? fate : `${fate}: ${whats.join(', ')}`,
  )
  return parts.join('; ')
}
