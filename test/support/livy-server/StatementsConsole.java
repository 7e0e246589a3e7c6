import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.spark.sql.SparkSession;

/**
 * The driver of a session of the Livy test server: a real Spark with the real shim, given statements line by line (base64)
 * and answering what they print. It knows our lines of Scala and `Thread.sleep`; a REPL would compile them.
 * Ends when its standard input does.
 */
public final class StatementsConsole {
  private static final Pattern RUN =
      Pattern.compile("_root_\\.reprise\\.livy\\.Statements\\.run\\(\"([A-Za-z0-9_-]+)\"\\)");
  private static final Pattern VERSIONS =
      Pattern.compile(
          "print\\(\"(reprise1 [A-Za-z0-9_-]{24} versions )\" \\+ _root_\\.org\\.apache\\.spark\\.SPARK_VERSION \\+ \" \" \\+ "
              + "_root_\\.scala\\.util\\.Properties\\.versionNumberString\\)");
  private static final Pattern SLEEP = Pattern.compile("Thread\\.sleep\\((\\d+)\\)");

  public static void main(String[] args) throws Exception {
    PrintStream answers = System.out;
    System.setOut(System.err);
    SparkSession.builder().getOrCreate();
    answers.println("READY");
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      String code = new String(Base64.getDecoder().decode(line), StandardCharsets.UTF_8);
      String answer;
      try {
        answer = "OK " + encode(evaluate(code));
      } catch (Throwable error) {
        answer = "ERROR " + encode(error.toString());
      }
      answers.println(answer);
      answers.flush();
    }
    Runtime.getRuntime().halt(0);
  }

  private static String evaluate(String code) throws Exception {
    Matcher sleep = SLEEP.matcher(code);
    if (sleep.matches()) {
      Thread.sleep(Long.parseLong(sleep.group(1)));
      return "";
    }
    Matcher versions = VERSIONS.matcher(code);
    if (versions.matches()) {
      String spark = org.apache.spark.package$.MODULE$.SPARK_VERSION();
      return versions.group(1) + spark + " " + scala.util.Properties.versionNumberString();
    }
    Matcher run = RUN.matcher(code);
    if (!run.matches()) throw new IllegalArgumentException("<console>:23: error: not ours");
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    scala.Console.withOut(
        printed,
        () -> {
          reprise.livy.Statements.run(run.group(1));
          return null;
        });
    return printed.toString("UTF-8");
  }

  private static String encode(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }
}
