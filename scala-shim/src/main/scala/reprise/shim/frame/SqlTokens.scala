package reprise.shim.frame

import scala.collection.mutable.ArrayBuffer

/**
 * Rewrites the tokens of DuckDB's SQL that Spark's parser does not know: `x::type`, `a // b`, `a ** b`, and
 * `extract(part from t)` for parts that mean another thing in Spark. Names in double quotes become names in backticks; text stays as it is.
 */
object SqlTokens {
  private val token =
    """(?s)\s+|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|[A-Za-z_][A-Za-z0-9_$]*|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|::|//|\*\*|<=|>=|<>|!=|\|\||.""".r

  /** DuckDB's names of types that Spark spells another way. */
  private val types = Map(
    "varchar" -> "STRING", "text" -> "STRING", "integer" -> "INT", "int4" -> "INT", "int8" -> "BIGINT",
    "hugeint" -> "DECIMAL(38,0)", "real" -> "FLOAT", "float4" -> "FLOAT", "float8" -> "DOUBLE", "bool" -> "BOOLEAN",
    "int2" -> "SMALLINT", "int1" -> "TINYINT", "uinteger" -> "BIGINT", "ubigint" -> "DECIMAL(20,0)",
    "usmallint" -> "INT", "utinyint" -> "SMALLINT")

  def toSpark(sql: String): String = {
    val tokens = ArrayBuffer[String]()
    token.findAllIn(sql).foreach { text =>
      if (!text.startsWith("--") && !text.startsWith("/*")) tokens += (if (text.trim.isEmpty) " " else text)
    }
    castTypes(extractParts(casts(tokens.filterNot(_.isEmpty)))).map {
      case "//" => " div "
      case "**" => " ^ "
      // Spark reads backslashes in text as escapes; DuckDB does not.
      case text if text.startsWith("'") => text.replace("\\", "\\\\")
      case text if text.startsWith("\"") =>
        s"`${text.substring(1, text.length - 1).replace("\"\"", "\"").replace("`", "``")}`"
      case other => other
    }.mkString
  }

  /** `operand::type` -> `CAST(operand AS type)`, innermost first. */
  @annotation.tailrec
  private def casts(tokens: ArrayBuffer[String]): ArrayBuffer[String] = {
    val at = tokens.indexOf("::")
    if (at <= 0) tokens
    else {
      val start = operandStart(tokens, at)
      var end = at + 1
      while (end < tokens.length && tokens(end) == " ") end += 1
      end += 1
      if (end < tokens.length && tokens(end) == "(") end = tokens.indexOf(")", end) + 1
      val cast = ArrayBuffer("CAST", "(") ++ tokens.slice(start, at) ++ ArrayBuffer(" ", "AS", " ") ++
        tokens.slice(at + 1, end) ++ ArrayBuffer(")")
      casts(tokens.take(start) ++ cast ++ tokens.drop(end))
    }
  }

  private def operandStart(tokens: ArrayBuffer[String], at: Int): Int = {
    var start = at - 1
    while (start > 0 && tokens(start) == " ") start -= 1
    if (tokens(start) == ")") {
      var depth = 1
      while (start > 0 && depth > 0) {
        start -= 1
        if (tokens(start) == ")") depth += 1 else if (tokens(start) == "(") depth -= 1
      }
      if (start > 0 && tokens(start - 1).matches("[A-Za-z_][A-Za-z0-9_]*")) start -= 1
    }
    while (start >= 2 && tokens(start - 1) == ".") start -= 2
    start
  }

  /** `extract(dow from t)` -> `dow(t)`, which `SqlDialect` knows; parts that agree are left to Spark. */
  private def extractParts(tokens: ArrayBuffer[String]): ArrayBuffer[String] = {
    val out = ArrayBuffer[String]()
    var i = 0
    while (i < tokens.length) {
      val words = tokens.drop(i).iterator.filter(_ != " ").take(4).map(_.toLowerCase).toVector
      words match {
        case Vector("extract", "(", part, "from") if special.contains(part) =>
          out += special(part) += "("
          var seen = 0
          while (seen < 4) {
            if (tokens(i) != " ") seen += 1
            i += 1
          }
        case _ =>
          out += tokens(i)
          i += 1
      }
    }
    out
  }

  private val special = Map(
    "dow" -> "dow", "dayofweek" -> "dow", "weekday" -> "dow", "isodow" -> "isodow", "epoch" -> "epoch",
    "second" -> "second", "doy" -> "dayofyear", "dayofyear" -> "dayofyear")

  /** Type names after `AS` in casts. */
  private def castTypes(tokens: ArrayBuffer[String]): ArrayBuffer[String] = {
    var afterAs = false
    tokens.map { text =>
      val lower = text.toLowerCase
      val mapped = if (afterAs) types.getOrElse(lower, text) else text
      if (text != " ") afterAs = lower == "as"
      mapped
    }
  }
}
