package reprise.shim.protocol

/** An error that the driver makes its own class of; `kind` is a `WireError.kind` of `wire.ts`. */
final class ShimError(
    val kind: String,
    message: String,
    val facts: Map[String, String] = Map.empty,
    cause: Throwable = null)
    extends RuntimeException(message, cause)

object ShimError {
  def data(message: String, facts: (String, String)*): ShimError =
    new ShimError("data", message, facts.toMap)

  def internal(message: String): ShimError = new ShimError("internal", message)

  def unsupported(message: String, facts: (String, String)*): ShimError =
    new ShimError("unsupported", message, facts.toMap)

  /** The first `ShimError` in the chain of causes: Spark wraps what a task throws. */
  def find(error: Throwable): Option[ShimError] =
    chain(error).collectFirst { case found: ShimError => found }

  def chain(error: Throwable): Iterator[Throwable] =
    Iterator.iterate(error)(_.getCause).takeWhile(_ != null).take(32)
}
