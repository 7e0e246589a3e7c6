package reprise.shim.frame

import java.util.concurrent.ConcurrentHashMap
import java.util.regex.{Matcher, Pattern}

/** LIKE and regular expressions. The driver writes patterns that Java reads as RE2 does. */
object DuckPatterns {
  private val compiled = new ConcurrentHashMap[String, Pattern]()
  private val MostCompiled = 1000

  private def compile(pattern: String, flags: Int): Pattern = {
    if (compiled.size > MostCompiled) compiled.clear()
    compiled.computeIfAbsent(s"$flags $pattern", _ => Pattern.compile(pattern, flags))
  }

  /** `%` any text, `_` any character, and after the escape a character itself. */
  def like(text: String, pattern: String, escape: String): Boolean =
    matcher(compile(likePattern(pattern, escape), Pattern.DOTALL), text, _.matches())

  private def likePattern(pattern: String, escape: String): String = {
    if (escape.codePointCount(0, escape.length) > 1) DuckFunctions.fault(s"one character as escape, got '$escape'")
    val codes = pattern.codePoints().toArray
    val mark = if (escape.isEmpty) -1 else escape.codePointAt(0)
    val out = new StringBuilder
    var i = 0
    while (i < codes.length) {
      if (codes(i) == mark) {
        if (i + 1 == codes.length) DuckFunctions.fault("a character after the escape of a pattern, got its end")
        i += 1
        out ++= quoted(codes(i))
      } else if (codes(i) == '%') {
        if (!out.endsWith(".*")) out ++= ".*"
      } else if (codes(i) == '_') out ++= "."
      else out ++= quoted(codes(i))
      i += 1
    }
    out.toString
  }

  private def quoted(code: Int): String = f"\\x{$code%x}"

  /** RE2's line ends at `\n` alone. */
  private def flagsOf(options: String): Int =
    Pattern.UNIX_LINES |
      (if (options.contains('i')) Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CASE else 0) |
      (if (options.contains('s')) Pattern.DOTALL else 0)

  def matches(text: String, pattern: String, options: String, whole: Boolean): Boolean =
    matcher(compile(pattern, flagsOf(options)), text, m => if (whole) m.matches() else m.find())

  def extract(text: String, pattern: String, options: String, group: Int): String =
    matcher(compile(pattern, flagsOf(options)), text, { m =>
      if (m.find() && group <= m.groupCount()) Option(m.group(group)).getOrElse("") else ""
    })

  /** An empty match where the last one ended is none, as RE2 has it. */
  def replace(text: String, pattern: String, options: String, rewrite: String): String =
    matcher(compile(pattern, flagsOf(options)), text, { m =>
      val out = new java.lang.StringBuilder
      var copied = 0
      var lastEnd = -1
      var more = m.find()
      while (more) {
        if (m.end() > m.start() || (m.start() != lastEnd && !isInside(text, m.start()))) {
          out.append(text, copied, m.start())
          append(out, m, rewrite)
          copied = m.end()
          lastEnd = m.end()
        }
        more = options.contains('g') && m.find()
      }
      out.append(text, copied, text.length).toString
    })

  /** Whether a place lies within a code point. */
  private def isInside(text: String, at: Int): Boolean =
    at > 0 && at < text.length && Character.isSurrogatePair(text.charAt(at - 1), text.charAt(at))

  private def append(out: java.lang.StringBuilder, m: Matcher, rewrite: String): Unit = {
    var i = 0
    while (i < rewrite.length) {
      if (rewrite.charAt(i) == '\\') {
        i += 1
        val next = rewrite.charAt(i)
        if (next == '\\') out.append('\\') else Option(m.group(next - '0')).foreach(group => out.append(group))
      } else out.append(rewrite.charAt(i))
      i += 1
    }
  }

  private def matcher[A](pattern: Pattern, text: String, body: Matcher => A): A =
    try body(pattern.matcher(new Limited(text, 0, text.length, new Steps)))
    catch {
      case _: StackOverflowError =>
        DuckFunctions.fault(s"a text that the pattern $pattern can be tried on, got one of ${text.length} characters; simplify it")
    }

  private final class Steps { var taken = 0L }

  /** A text that counts its reads: Java's patterns backtrack, and some of them do for ever. */
  private final class Limited(text: String, from: Int, until: Int, steps: Steps) extends CharSequence {
    def length: Int = until - from
    def charAt(i: Int): Char = {
      steps.taken += 1
      if (steps.taken > MostSteps) {
        DuckFunctions.fault(s"a pattern that ends on a text of ${text.length} characters, got one that goes back for ever; simplify it")
      }
      text.charAt(from + i)
    }
    def subSequence(start: Int, end: Int): CharSequence = new Limited(text, from + start, from + end, steps)
    override def toString: String = text.substring(from, until)
  }

  private val MostSteps = 50000000L
}
