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
    private final SparkSession spark;
    private final String format;
    private final List<FileStatus> files;

    Written(SparkSession spark, String folder, String format, List<Column> source) throws IOException {
        this.spark = spark;
        this.format = format;
        columns = source.stream().map(c -> new Column(c.name, "float64", null, DataTypes.DoubleType)).collect(Collectors.toList());
        files = Output.files(folder, spark.sparkContext().hadoopConfiguration());
    }

    /** Fills in {@code normalized} of each column. */
    void prove(List<Profile> profiles) {
        int width = profiles.size();
        JavaRDD<Block> blocks = Source.open(spark, files, null).blocks();
        Proof proof = RddPipeline.reduce(blocks.mapPartitionsWithIndex(
            (i, it) -> Collections.singleton(Proof.of(i, it, width)).iterator(), true), Proof::merge);
        for (int c = 0; c < width; c++) {
            profiles.get(c).normalized = new Summary(proof.moments(c));
        }
    }

    Dataset<Row> dataFrame() {
        return Source.open(spark, files, null).dataFrame();
    }

    void describe(ArrayNode into) {
        files.forEach(file -> into.addObject().put("name", file.getPath().getName()).put("bytes", file.getLen()));
    }
}
