//! Several submissions in one session, so that a test pays for one start of Spark.
package caudal;

import java.nio.charset.StandardCharsets;
import java.nio.file.Paths;
import org.apache.spark.sql.SparkSession;

public final class Suite {
    private Suite() {}

    /** The only argument is a file with one document's path a line; prints the exit code of each. */
    public static void main(String[] arguments) throws Exception {
        SparkSession spark = Job.session();
        for (String spec : java.nio.file.Files.readAllLines(Paths.get(arguments[0]), StandardCharsets.UTF_8)) {
            Metrics metrics = new Metrics();
            spark.sparkContext().addSparkListener(metrics);
            System.out.println("SUITE begin " + spec);
            int code = Job.run(spark, metrics, spec);
            System.out.println("SUITE end " + code);
            spark.sparkContext().removeSparkListener(metrics);
        }
        spark.stop();
    }
}
