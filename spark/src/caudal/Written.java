//! The normalised data as it lies in the bucket, read back to prove it.
package caudal;

import com.fasterxml.jackson.databind.node.ArrayNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.hadoop.fs.FileStatus;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;

final class Written {
    final List<Column> columns;
    private final List<FileStatus> files;
    private final Source source;

    /** @param scratch where text is kept as Parquet once it has been read */
    Written(SparkSession spark, String folder, String format, List<Column> source, String scratch) throws IOException {
        columns = source.stream().map(c -> new Column(c.name, "float64", null, DataTypes.DoubleType)).collect(Collectors.toList());
        files = Output.files(folder, spark.sparkContext().hadoopConfiguration());
        this.source = format.equals("parquet") ? Source.open(spark, files, null) : fromText(spark, format, scratch);
    }

    private Source fromText(SparkSession spark, String format, String scratch) throws IOException {
        JavaSparkContext sc = new JavaSparkContext(spark.sparkContext());
        List<String> names = columns.stream().map(column -> column.name).collect(Collectors.toList());
        long bytes = files.stream().mapToLong(FileStatus::getLen).sum();
        long share = Source.share(bytes, sc.defaultParallelism());
        Texts texts = format.equals("csv") ? CsvFiles.open(sc, files, names, share)
            : format.equals("json") ? texts(names, Long.MAX_VALUE, (piece, report, block, conf) -> new Document(piece.path, names, block, conf))
            : texts(names, share, (piece, report, block, conf) -> new JsonBlocks(piece, JsonRows.OBJECTS, names, report, block, conf));
        Report read = Conversion.convert(sc, texts, share, scratch);
        if (read.faultsTotal > 0) {
            throw new IllegalStateException("what was written cannot be read back: " + read.faults.get(0).detail);
        }
        return Source.converted(spark, Output.files(scratch, sc.hadoopConfiguration()), texts.choice, read, bytes);
    }

    /** What was written here needs no second look at its columns. */
    private Texts texts(List<String> names, long bytes, Reading reading) {
        List<Piece> pieces = new ArrayList<>();
        for (int file = 0; file < files.size(); file++) {
            FileStatus status = files.get(file);
            Piece.cut(pieces, file, status.getPath().toString(), 0, status.getLen(), Math.min(bytes, status.getLen() + 1));
        }
        return new Texts(pieces, reading, Choice.of(columns, names), null);
    }

    /** Fills in {@code normalized} of each column. */
    void proveByRdd(List<Profile> profiles) {
        int width = profiles.size();
        JavaRDD<Block> blocks = source.blocks();
        Proof proof = RddPipeline.reduce(blocks.mapPartitionsWithIndex(
            (i, it) -> Collections.singleton(Proof.of(i, it, width)).iterator(), true), Proof::merge);
        for (int c = 0; c < width; c++) {
            profiles.get(c).normalized = new Summary(proof.moments(c));
        }
    }

    /** The same with the other pipeline. */
    void proveByDataFrame(List<Profile> profiles) {
        Dataset<Row> rows = source.dataFrame();
        List<Moments> moments = DataFramePipeline.moments(rows, columns);
        for (int c = 0; c < profiles.size(); c++) {
            profiles.get(c).normalized = new Summary(moments.get(c));
        }
    }

    void describe(ArrayNode into) {
        files.forEach(file -> into.addObject().put("name", file.getPath().getName()).put("bytes", file.getLen()));
    }
}
