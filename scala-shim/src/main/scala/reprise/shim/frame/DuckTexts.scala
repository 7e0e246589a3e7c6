package reprise.shim.frame

/** Texts by code points, as DuckDB counts them. */
object DuckTexts {
  /** Where DuckDB's tables (utf8proc) map otherwise than Java's. */
  def upper(text: String): String = mapped(text, code => if (code == 0xdf) 0x1e9e else Character.toUpperCase(code))
  def lower(text: String): String = mapped(text, Character.toLowerCase)

  private def mapped(text: String, map: Int => Int): String = {
    val out = new java.lang.StringBuilder(text.length)
    text.codePoints().forEach(code => out.appendCodePoint(map(code)))
    out.toString
  }

  def isSpace(code: Int): Boolean = Character.getType(code) == Character.SPACE_SEPARATOR

  /** @param side 1 at the start, 2 at the end, 3 both */
  def trim(text: String, drops: Int => Boolean, side: Int): String = {
    val codes = text.codePoints().toArray
    var from = 0
    var until = codes.length
    if ((side & 1) != 0) while (from < until && drops(codes(from))) from += 1
    if ((side & 2) != 0) while (until > from && drops(codes(until - 1))) until -= 1
    new String(codes, from, until - from)
  }

  /** Characters `from` to before `until`, counted from one, as far as there are any. */
  private def between(text: String, from: Long, until: Long): String = {
    val length = text.codePointCount(0, text.length)
    val start = math.max(1L, math.min(from, length + 1L))
    val end = math.max(start, math.min(until, length + 1L))
    val first = text.offsetByCodePoints(0, (start - 1).toInt)
    text.substring(first, text.offsetByCodePoints(first, (end - start).toInt))
  }

  private def lengthOf(text: String): Long = text.codePointCount(0, text.length).toLong

  /** A start below 1 counts from the end, a negative length backwards; 0 is before the first. */
  def substring(text: String, start: Long, length: Long): String = {
    val from = if (start < 0) lengthOf(text) + start + 1 else start
    val end = if (length > Int.MaxValue) Long.MaxValue else from + length
    if (length < 0) between(text, end, from) else between(text, from, end)
  }

  /** Both ends are included. */
  def slice(text: String, from: Long, to: Long): String = {
    val length = lengthOf(text)
    def place(at: Long): Long = if (at < 0) length + at + 1 else at
    val end = place(to)
    between(text, place(from), if (end == Long.MaxValue) end else end + 1)
  }

  def left(text: String, count: Long): String =
    between(text, 1, if (count >= 0) math.min(count, Int.MaxValue.toLong) + 1 else lengthOf(text) + count + 1)

  def right(text: String, count: Long): String = {
    val length = lengthOf(text)
    between(text, if (count >= 0) length - math.min(count, length) + 1 else 1 - math.max(count, -length), length + 1)
  }

  def pad(text: String, length: Long, fill: String, before: Boolean): String = {
    val missing = length - lengthOf(text)
    if (missing <= 0) left(text, math.max(0L, length))
    else {
      val fills = fill.codePoints().toArray
      val codes = Array.tabulate(missing.toInt)(i => fills(i % fills.length))
      val padding = new String(codes, 0, codes.length)
      if (before) padding + text else text + padding
    }
  }

  def split(text: String, separator: String): Array[Any] =
    if (separator.isEmpty) {
      if (text.isEmpty) Array("") else text.codePoints().toArray.map(code => new String(Character.toChars(code)): Any)
    } else {
      val parts = Array.newBuilder[Any]
      var from = 0
      var at = text.indexOf(separator)
      while (at >= 0) {
        parts += text.substring(from, at)
        from = at + separator.length
        at = text.indexOf(separator, from)
      }
      parts += text.substring(from)
      parts.result()
    }

  /** Over bytes. */
  def levenshtein(a: Array[Byte], b: Array[Byte]): Long = {
    var row = Array.tabulate(b.length + 1)(identity)
    for (i <- 1 to a.length) {
      val next = new Array[Int](b.length + 1)
      next(0) = i
      for (j <- 1 to b.length) {
        val change = row(j - 1) + (if (a(i - 1) == b(j - 1)) 0 else 1)
        next(j) = math.min(math.min(row(j) + 1, next(j - 1) + 1), change)
      }
      row = next
    }
    row(b.length).toLong
  }
}
