//! What a job reads: Parquet files that agree, their processed columns, and how they are cut into partitions.
package caudal;

import java.util.List;
import org.apache.hadoop.fs.FileStatus;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.StructType;

final class Source {
    /** Bytes of one partition: as many as keep every core busy a few times over, within these. */
    private static final long LEAST_BYTES = 4L << 20;
    private static final long MOST_BYTES = 128L << 20;
    private static final int TASKS_PER_CORE = 3;
    final Choice choice;
    final List<Column> columns;
    final long rows;
    final long bytes;
    /** Integers that lost digits, by column, where they were counted when text was read; else null. */
    final long[] inexact;
    private final SparkSession spark;
    private final List<FileStatus> files;
    private final long partitionBytes;
    private Dataset<Row> dataFrame;

    private Source(SparkSession spark, List<FileStatus> files, Choice choice, long rows, long bytes, long[] inexact) {
        this.spark = spark;
        this.files = files;
        this.choice = choice;
        this.rows = rows;
        columns = choice.columns;
        this.bytes = bytes;
        this.inexact = inexact;
        partitionBytes = share(size(files), spark.sparkContext().defaultParallelism());
    }

    private static long size(List<FileStatus> files) {
        return files.stream().mapToLong(FileStatus::getLen).sum();
    }

    /** Bytes of one partition of so many in all. */
    static long share(long bytes, int cores) {
        return Math.max(LEAST_BYTES, Math.min(MOST_BYTES, bytes / (cores * (long) TASKS_PER_CORE) + 1));
    }

    /** Parquet of ours, made of text. */
    static Source converted(SparkSession spark, List<FileStatus> files, Choice choice, Report read, long bytes) {
        return new Source(spark, files, choice, read.rows, bytes, read.inexact);
    }

    /** Opens Parquet files: reads what they say of themselves, and checks that they agree. */
    static Source open(SparkSession spark, List<FileStatus> files, List<String> named) {
        Events.step("source: footers");
        List<Footers.Footer> footers = Footers.read(new JavaSparkContext(spark.sparkContext()), files);
        Choice choice = Choice.of(footers.get(0).columns, named);
        Footers.check(footers, named);
        long rows = footers.stream().mapToLong(footer -> footer.rows).sum();
        if (rows == 0) {
            throw Fault.of("invalid_data", "the source holds no rows", footers.get(0).file, null);
        }
        return new Source(spark, files, choice, rows, size(files), null);
    }

    /** The columns under their own names and types. */
    Dataset<Row> dataFrame() {
        if (dataFrame == null) {
            dataFrame = read();
        }
        return dataFrame;
    }

    private Dataset<Row> read() {
        StructType schema = new StructType();
        for (Column column : columns) {
            schema = schema.add(column.name, column.read, true);
        }
        spark.conf().set("spark.sql.files.maxPartitionBytes", partitionBytes);
        spark.conf().set("spark.sql.files.openCostInBytes", Math.min(partitionBytes, 1L << 18));
        spark.conf().set("spark.sql.codegen.maxFields", Math.max(100, columns.size() + 1));
        // Else there is a task for each of many files, only to see that it is there.
        spark.conf().set("spark.sql.sources.parallelPartitionDiscovery.parallelism", 4 * spark.sparkContext().defaultParallelism());
        // Names are names and no patterns.
        return spark.read().option("__globPaths__", "false").schema(schema)
            .parquet(files.stream().map(f -> f.getPath().toString()).toArray(String[]::new));
    }

    /** The rows in their order, as blocks of doubles. */
    JavaRDD<Block> blocks() {
        return Scan.blocks(new JavaSparkContext(spark.sparkContext()), dataFrame(), columns, partitionBytes);
    }

    String reason(int partitions) {
        return String.format(java.util.Locale.ROOT, "%d partitions of at most %d MB: %d files of %d MB, %d cores",
            partitions, partitionBytes >> 20, files.size(), size(files) >> 20, spark.sparkContext().defaultParallelism());
    }
}
