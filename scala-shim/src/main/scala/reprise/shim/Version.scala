package reprise.shim

object Version {
  val shim = "0.1.0"
  /** Raised when a message changes its meaning; the driver refuses another one. */
  val protocol = 2
}
