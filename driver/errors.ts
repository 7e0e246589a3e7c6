/**
 * Every error Reprise throws, classified by who must act: user, operator of the cluster, or us.
 * Invariant: a message reads `<op>: expected <requirement>, got <value>` with the remedy last, and
 * no error carries a secret, a request header or a native handle.
 */

/** Base of all Reprise errors: a stable `code`, facts as fields, and the original as `cause`. */
export class RepriseError extends Error {
  readonly code: string;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    facts: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.facts = facts;
  }
}

/** The user's expression is wrong: raised when the node is built, before anything runs. */
export class PlanError extends RepriseError {
  constructor(message: string, facts: Readonly<Record<string, unknown>> = {}, code = 'PLAN') {
    super(code, message, facts);
  }
}

/** Operand shapes do not fit the operator. Carries `op`, `shapes` and `callSite`. */
export class ShapeError extends PlanError {
  constructor(message: string, facts: Readonly<Record<string, unknown>> = {}) {
    super(message, facts, 'SHAPE');
  }
}

/** Operand types do not fit the operator. */
export class DTypeError extends PlanError {
  constructor(message: string, facts: Readonly<Record<string, unknown>> = {}) {
    super(message, facts, 'DTYPE');
  }
}

/** No backend of this session can run the operator so. Carries `op`, `backend`, `supportedBy`. */
export class UnsupportedError extends RepriseError {
  constructor(message: string, facts: Readonly<Record<string, unknown>> = {}) {
    super('UNSUPPORTED', message, facts);
  }
}

/** A setting is wrong. Carries `key`, `value`, `allowed` and `source` (flag, env or file). */
export class ConfigError extends RepriseError {
  constructor(
    message: string,
    facts: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super('CONFIG', message, facts, options);
  }
}

/** The data do not hold what the job says: missing file or column, text in a number column, NaN. */
export class DataError extends RepriseError {
  constructor(
    message: string,
    facts: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super('DATA', message, facts, options);
  }
}

/** A kernel or job ended badly. Carries `op`, `backend`, `lineage` and the native cause. */
export class ExecutionError extends RepriseError {
  constructor(
    message: string,
    facts: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
    code = 'EXECUTION',
  ) {
    super(code, message, facts, options);
  }
}

/** A linear system has no unique solution. An `ExecutionError` that searches give `error_score`. */
export class SingularError extends ExecutionError {
  constructor(message: string, facts: Readonly<Record<string, unknown>> = {}) {
    super(message, facts, undefined, 'SINGULAR');
  }
}

/**
 * A backend ended under its work: the values it held are gone, what they were computed from is not.
 * A session opens the backend again and computes what is unfinished. Carries `backend` and, where
 * there is one, the end of its `log`.
 */
export class BackendLostError extends ExecutionError {
  constructor(
    message: string,
    facts: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, facts, options, 'BACKEND_LOST');
  }
}

/** Memory, disk or storage ran out. Carries `resource`, `requestedBytes`, `availableBytes`. */
export class ResourceError extends RepriseError {
  constructor(
    message: string,
    facts: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super('RESOURCE', message, facts, options);
  }
}

/** Apache Livy or the Spark application behind it answered badly. */
export class LivyError extends RepriseError {
  constructor(
    message: string,
    facts: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super('LIVY', message, facts, options);
  }
}

/**
 * A run began, and then the way to its cluster fell silent: what was asked there may go on, and the
 * application is left to whoever goes on with the run. The `cause` says what was asked.
 */
export class ContactLostError extends RepriseError {
  constructor(message: string, options?: ErrorOptions) {
    super('CONTACT_LOST', message, {}, options);
  }
}

/** One of our own invariants does not hold; a bug to report. */
export class InternalError extends RepriseError {
  constructor(
    message: string,
    facts: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super('INTERNAL', `${message} (a bug in Reprise, please report it)`, facts, options);
  }
}
