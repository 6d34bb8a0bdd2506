//! CSV and NDJSON read once and kept as Parquet, which the pipelines then read as often as they need.
package caudal;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.util.CollectionAccumulator;
import org.apache.spark.util.SerializableConfiguration;

final class Conversion {
    private Conversion() {}

    /** Opens text files, whose processed columns then lie in {@code scratch}. */
    static Source open(SparkSession spark, List<FileStatus> files, Spec spec) throws IOException {
        JavaSparkContext sc = new JavaSparkContext(spark.sparkContext());
        long bytes = files.stream().mapToLong(FileStatus::getLen).sum();
        long share = spec.pieceBytes > 0 ? spec.pieceBytes : Source.share(bytes, sc.defaultParallelism());
        Texts texts = spec.format.equals("csv") ? CsvFiles.open(sc, files, spec.columns, share)
            : JsonFiles.open(sc, files, spec.columns, share);
        Events.step("source: reading " + spec.format);
        Report all = convert(sc, texts, share, spec.scratch);
        if (all.faultsTotal > 0) {
            throw new Fault("invalid_data", all.faults, all.faultsTotal, null);
        }
        if (texts.unfit != null) {
            throw texts.unfit;
        }
        if (all.rows == 0) {
            throw Texts.noRows();
        }
        return Source.converted(spark, Output.files(spec.scratch, sc.hadoopConfiguration()), texts.choice, all, bytes);
    }

    /** Reads every piece, and writes the processed columns where there are any. */
    static Report convert(JavaSparkContext sc, Texts texts, long bytes, String scratch) {
        List<String> names = texts.names();
        Reading reading = texts.reading;
        int columns = names.size();
        CollectionAccumulator<Report> reports = sc.sc().collectionAccumulator("caudal.text");
        Broadcast<SerializableConfiguration> conf = sc.broadcast(new SerializableConfiguration(sc.hadoopConfiguration()));
        Broadcast<Reading> sent = sc.broadcast(reading);
        List<List<Piece>> groups = Piece.groups(texts.pieces, bytes);
        JavaRDD<Block> blocks = sc.parallelize(groups, groups.size()).mapPartitions(it ->
            new Blocks(it.next(), sent.value(), columns, reports, conf.value().value()));
        if (columns > 0) {
            Output.write(sc, blocks, texts.choice.columns, scratch, "parquet");
        } else {
            // Only for what is wrong with the rows.
            blocks.foreach(block -> { });
        }
        sent.unpersist();
        TreeMap<Integer, Report> byPiece = new TreeMap<>();
        reports.value().forEach(report -> byPiece.put(report.piece, report));
        Report all = new Report(0, columns);
        byPiece.values().forEach(all::add);
        return all;
    }

    /** Piece after piece. */
    private static final class Blocks implements Iterator<Block> {
        private final Iterator<Piece> pieces;
        private final Reading reading;
        private final CollectionAccumulator<Report> reports;
        private final Configuration conf;
        private final Block block;
        private Iterator<Block> blocks;
        private Report report;

        Blocks(List<Piece> pieces, Reading reading, int columns, CollectionAccumulator<Report> reports, Configuration conf) {
            this.pieces = pieces.iterator();
            this.reading = reading;
            this.reports = reports;
            this.conf = conf;
            block = new Block(columns, Block.rows(columns));
        }

        @Override
        public boolean hasNext() {
            while (blocks == null || !blocks.hasNext()) {
                if (blocks != null) {
                    reports.add(report);
                    blocks = null;
                }
                if (!pieces.hasNext()) {
                    return false;
                }
                Piece piece = pieces.next();
                report = new Report(piece.number, block.values.length);
                try {
                    blocks = reading.open(piece, report, block, conf);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            }
            return true;
        }

        @Override
        public Block next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            return blocks.next();
        }
    }
}
