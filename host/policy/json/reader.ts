// Reads plain data of unknown origin: each value is requested as a certain type, and an error names its place.
import { maxNesting } from '../conditions.js';
import { PolicyError } from '../errors.js';
import { shown } from '../quoting.js';

export const method = 'Policy.fromJSON';

/** An error that names its place already. */
class PlacedError extends PolicyError {}

/** Deeper nesting is never a policy: each condition takes two levels, and there are some above it. */
const maxDepth = 2 * maxNesting + 10;

/** A value and where it was found: "syscalls.read[0].do". */
export class Place {
  readonly path: string;
  readonly value: unknown;
  readonly #depth: number;

  constructor(value: unknown, path = '', depth = 0) {
    this.value = value;
    this.path = path;
    this.#depth = depth;
    if (depth > maxDepth) this.fail('it is nested too deeply');
  }

  fail(why: string): never {
    throw new PlacedError(method, this.path === '' ? why : `${this.path}: ${why}`);
  }

  #inner(value: unknown, path: string): Place {
    return new Place(value, path, this.#depth + 1);
  }

  /** The fields of an object, which must have all required fields and no others than the optional ones. */
  fields(required: readonly string[], optional: readonly string[] = []): Readonly<Record<string, Place>> {
    const found: Record<string, Place> = Object.create(null);
    for (const [name, place] of this.entries()) {
      if (!required.includes(name) && !optional.includes(name)) {
        this.fail(`there is no field ${shown(name)}`);
      }
      found[name] = place;
    }
    const missing = required.filter((name) => found[name] === undefined);
    if (missing.length > 0) this.fail(`${missing.map((name) => shown(name)).join(', ')} is missing`);
    return found;
  }

  /** True if it is an object that has this field itself. */
  has(field: string): boolean {
    return typeof this.value === 'object' && this.value !== null && Object.hasOwn(this.value, field);
  }

  entries(): readonly (readonly [string, Place])[] {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) this.fail('an object is needed');
    const before = this.path === '' ? '' : `${this.path}.`;
    return Object.entries(value).map(([name, inner]) => [
      name,
      this.#inner(inner, `${before}${name.slice(0, 100)}`),
    ]);
  }

  list(maxLength: number): readonly Place[] {
    const { value } = this;
    if (!Array.isArray(value)) this.fail('a list is needed');
    if (value.length > maxLength)
      this.fail(`a list of ${value.length} is too long; at most ${maxLength} are allowed`);
    return value.map((inner: unknown, index) => this.#inner(inner, `${this.path}[${index}]`));
  }

  text(): string {
    if (typeof this.value !== 'string') this.fail('a text is needed');
    if (this.value.length > 5000) this.fail('the text is too long');
    return this.value;
  }

  integer(least: number, greatest: number): number {
    const { value } = this;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > greatest) {
      this.fail(`a whole number from ${least} to ${greatest} is needed`);
    }
    return value;
  }

  boolean(): boolean {
    if (typeof this.value !== 'boolean') this.fail('true or false is needed');
    return this.value;
  }

  oneOf<T extends string | number>(...values: readonly T[]): T {
    const found = values.find((value) => value === this.value);
    if (found === undefined)
      this.fail(`one of ${values.map((value) => JSON.stringify(value)).join(', ')} is needed`);
    return found;
  }

  /** Does the work and turns its error into an error about this place. */
  attempt<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Error) || error instanceof PlacedError) throw error;
      if (!(error instanceof PolicyError)) return this.fail(error.message);
      return this.fail(error.method === method ? error.reason : error.message);
    }
  }
}
