package reprise.shim.block

/**
 * Rows as numbers and places of ones. `numbers` holds a cell for each of the columns `places`, row
 * by row; `ones` for each indicator the column that is 1, or -1, row by row. All other cells are 0.
 */
final class CodedRows(val places: Array[Int], val numbers: Array[Double], val indicators: Int, val ones: Array[Int]) {

  /** The same rows with the columns of others. */
  def beside(other: CodedRows, rows: Int): CodedRows = {
    val width = places.length + other.places.length
    val cells = new Array[Double](rows * width)
    val columns = indicators + other.indicators
    val all = new Array[Int](rows * columns)
    var i = 0
    while (i < rows) {
      System.arraycopy(numbers, i * places.length, cells, i * width, places.length)
      System.arraycopy(
        other.numbers, i * other.places.length, cells, i * width + places.length, other.places.length)
      System.arraycopy(ones, i * indicators, all, i * columns, indicators)
      System.arraycopy(other.ones, i * other.indicators, all, i * columns + indicators, other.indicators)
      i += 1
    }
    new CodedRows(places ++ other.places, cells, columns, all)
  }
}
