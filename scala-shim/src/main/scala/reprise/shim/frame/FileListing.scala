package reprise.shim.frame

import java.nio.file.{FileSystems, Paths}

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileStatus, FileSystem, Path}

/**
 * The files of a path on the cluster's storage, sorted: a file, a folder with the partitions
 * (`year=2024`) below it, or a glob, in which `**` stands for any number of folders. Hidden names
 * (`_SUCCESS`, `.crc`) are left out.
 */
final class FileListing(configuration: Configuration) {

  def of(path: String): IndexedSeq[FileStatus] = {
    val found = if (path.contains("**")) anywhere(path) else matched(path)
    val fixed = path.replaceFirst("[*?\\[{].*$", "").replaceFirst("[^/]*$", "")
    val isAsked = fixed.length == path.length || path.substring(fixed.length - 1).contains("/_")
    val depth = foldersOf(new Path(fixed)).length
    found
      .filterNot(status => isHidden(status.getPath.getName))
      .filter(status => isAsked || !foldersOf(status.getPath).drop(depth).dropRight(1).exists(isHidden))
      .sortBy(_.getPath.toString)
      .toIndexedSeq
  }

  private def foldersOf(path: Path): Seq[String] = path.toUri.getPath.split("/").filter(_.nonEmpty).toSeq

  private def matched(path: String): Seq[FileStatus] = {
    val root = new Path(path)
    val system = root.getFileSystem(configuration)
    Option(system.globStatus(root)).getOrElse(Array.empty[FileStatus]).toSeq.flatMap { status =>
      if (status.isDirectory) inFolder(system, status.getPath) else Seq(status)
    }
  }

  private def inFolder(system: FileSystem, folder: Path): Seq[FileStatus] =
    system.listStatus(folder).toSeq.flatMap { status =>
      val name = status.getPath.getName
      if (status.isFile) Seq(status)
      else if (name.indexOf('=') > 0 && !name.startsWith(".")) inFolder(system, status.getPath)
      else Nil
    }

  /** Hadoop's own globs have no `**`: everything below the part before it is listed and tested. */
  private def anywhere(path: String): Seq[FileStatus] = {
    val base = new Path(path.substring(0, path.indexOf("**")).replaceFirst("[^/]*$", ""))
    val system = base.getFileSystem(configuration)
    val pattern = new Path(path).toUri.getPath
    // `a/**/b` matches `a/b` too.
    val matchers = Seq(pattern, pattern.replace("/**/", "/")).map(one => FileSystems.getDefault.getPathMatcher(s"glob:$one"))
    Option(system.globStatus(base)).getOrElse(Array.empty[FileStatus]).toSeq.flatMap { root =>
      below(system, root.getPath).filter(status => matchers.exists(_.matches(Paths.get(status.getPath.toUri.getPath))))
    }
  }

  private def below(system: FileSystem, folder: Path): Seq[FileStatus] =
    system.listStatus(folder).toSeq.flatMap { status =>
      if (status.isFile) Seq(status) else if (isHidden(status.getPath.getName)) Nil else below(system, status.getPath)
    }

  private def isHidden(name: String): Boolean = name.startsWith(".") || (name.startsWith("_") && !name.contains('='))
}
