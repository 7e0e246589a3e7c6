package reprise.shim.frame

import java.io.Reader

import reprise.shim.protocol.Json

/** Why text is no CSV; the record is counted from 1, the header included. */
final class CsvFault(val record: Long, message: String) extends RuntimeException(message)

final case class CsvDialect(delimiter: Char, quote: Char, escape: Char, comment: Char)

/**
 * Cuts CSV text into records, by the rules that stand in `gpu-executor/cpu/duckdb/csv-cells.ts`: a
 * quote begins a quoted cell only at its start, spaces before it and after the closing one do not
 * count; lines end in LF, CRLF or CR; a line with nothing in it is no record; a comment runs from
 * its character, outside quotes, to the end of the line. Characters that are 0 stand for none.
 */
final class CsvCells(in: Reader, dialect: CsvDialect) {
  private val buffer = new Array[Char](1 << 16)
  private var at = 0
  private var end = 0
  private val cell = new java.lang.StringBuilder
  private var record = 0L
  /** Whether the cells of the record that had no place are all empty. */
  var restIsEmpty = true
  private val delimiter = dialect.delimiter.toInt
  private val quote = if (dialect.quote == 0) -2 else dialect.quote.toInt
  private val escape = if (dialect.escape == 0) -2 else dialect.escape.toInt
  private val comment = if (dialect.comment == 0) -2 else dialect.comment.toInt

  private def peek(): Int = {
    if (at >= end) {
      end = in.read(buffer)
      at = 0
      if (end < 0) end = 0
    }
    if (at < end) buffer(at) else -1
  }

  /** The next record's cells where `wanted` is true, and how many it has; -1 at the end. */
  def next(into: Array[String], wanted: Int => Boolean): Int = {
    while (true) {
      val found = line(into, wanted)
      if (found != 0) return found
    }
    -1
  }

  /** 0 for a line that is no record. */
  private def line(into: Array[String], wanted: Int => Boolean): Int = {
    if (peek() < 0) return -1
    record += 1
    var count = 0
    var isEmpty = true
    restIsEmpty = true
    while (true) {
      val wasQuoted = takeCell(count == 0)
      val stop = peek()
      isEmpty = isEmpty && !wasQuoted && cell.length == 0 && stop != delimiter
      if (stop == delimiter || !isEmpty) {
        if (count >= into.length) restIsEmpty = restIsEmpty && cell.length == 0
        else if (wanted(count)) into(count) = cell.toString
        count += 1
      }
      if (stop != delimiter) {
        endLine(stop)
        if (isEmpty) record -= 1
        return count
      }
      at += 1
    }
    count
  }

  private def endLine(stop: Int): Unit =
    if (stop >= 0) {
      at += 1
      if (stop == '\r' && peek() == '\n') at += 1
    }

  /** Reads a cell up to the delimiter or line end after it; whether it was quoted. */
  private def takeCell(isFirst: Boolean): Boolean = {
    cell.setLength(0)
    var wasQuoted = false
    var blank = true
    while (true) {
      // Whole pieces of the buffer at once: most cells are plain.
      var from = at
      while (from < end && isPlain(buffer(from))) {
        if (buffer(from) != ' ') blank = false
        from += 1
      }
      if (from > at) {
        if (!wasQuoted) cell.append(buffer, at, from - at)
        else if (!onlySpaces(at, from)) {
          throw afterQuote(buffer(firstOther(at)))
        }
        at = from
      }
      val char = peek()
      if (char == delimiter || char == '\n' || char == '\r' || char < 0) return wasQuoted
      if (char == comment) skipComment()
      else if (char == quote) {
        at += 1
        if (wasQuoted) throw afterQuote(quote.toChar)
        if (blank) {
          cell.setLength(0)
          wasQuoted = true
          takeQuoted()
        } else cell.append(quote.toChar)
      }
    }
    wasQuoted
  }

  private def afterQuote(char: Char): CsvFault =
    new CsvFault(record, s"""${Json.write(Json.str(char.toString)).map(_.toChar).mkString} after the quote that ends a cell""")

  private def isPlain(char: Char): Boolean =
    char != delimiter && char != '\n' && char != '\r' && char != quote && char != comment

  private def onlySpaces(from: Int, to: Int): Boolean = (from until to).forall(i => buffer(i) == ' ')

  private def firstOther(from: Int): Int = Iterator.from(from).find(i => buffer(i) != ' ').get

  private def skipComment(): Unit = {
    var char = peek()
    while (char >= 0 && char != '\n' && char != '\r') {
      at += 1
      char = peek()
    }
  }

  /** The rest of a quoted cell, past its closing quote; two quotes are one. */
  private def takeQuoted(): Unit =
    while (true) {
      val char = peek()
      if (char < 0) throw new CsvFault(record, "a quoted cell that does not end")
      at += 1
      if (char == escape && escape != quote) {
        val after = peek()
        if (after == quote || after == escape) {
          at += 1
          cell.append(after.toChar)
        } else cell.append(char.toChar)
      } else if (char != quote) cell.append(char.toChar)
      else if (escape == quote && peek() == quote) {
        at += 1
        cell.append(quote.toChar)
      } else return
    }
}
