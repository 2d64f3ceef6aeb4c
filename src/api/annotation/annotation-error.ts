import { InvalidInputError } from '../../base/index.ts'

/** An annotation that cannot be used; its field is the key. The reason tells which: `annotation-ippool`, `annotation-routes`. */
export class AnnotationError extends InvalidInputError {
  override get reasonCode(): string {
    return `annotation-${this.field.slice(this.field.indexOf('/') + 1)}`
  }
}
