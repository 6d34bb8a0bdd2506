//! Parquet files as blocks of doubles, in the order of their rows, through Spark's own vectorised reader.
package caudal;

import java.lang.reflect.Method;
import java.net.URI;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.hadoop.fs.Path;
import org.apache.spark.Partition;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.rdd.RDD;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.execution.SparkPlan;
import org.apache.spark.sql.execution.datasources.FilePartition;
import org.apache.spark.sql.execution.datasources.PartitionedFile;

/**
 * Spark packs pieces of files into partitions by their sizes. The same pieces are packed here by path and place instead, so that
 * what is written has the rows of the source in their order.
 */
final class Scan {
    /** What opening a file costs, in bytes that could be read meanwhile. */
    private static final long OPENING = 1 << 15;

    private Scan() {}

    /** @param bytes of the pieces of one partition, at most, where a piece is not larger */
    static JavaRDD<Block> blocks(JavaSparkContext sc, Dataset<Row> files, List<Column> columns, long bytes) {
        RDD<InternalRow> scan = fileScan(files.queryExecution().sparkPlan());
        List<FilePartition> groups = groups(scan.partitions(), bytes);
        Columns converter = new Columns(columns);
        return sc.parallelize(groups, Math.max(1, groups.size())).mapPartitions(it -> {
            if (!it.hasNext()) {
                return Collections.emptyIterator();
            }
            return converter.blocks(iterator(scan.compute(it.next(), TaskContext.get())));
        });
    }

    /** The scan of files in a plan. Scala's collections differ between Spark's versions, hence by reflection. */
    @SuppressWarnings("unchecked")
    private static RDD<InternalRow> fileScan(SparkPlan plan) {
        try {
            Object at = plan;
            while (!at.getClass().getSimpleName().equals("FileSourceScanExec")) {
                Object children = at.getClass().getMethod("children").invoke(at);
                at = call(children, "head");
            }
            return (RDD<InternalRow>) call(at, "inputRDD");
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("this Spark plans the reading of files in an unknown way: " + plan, e);
        }
    }

    private static Iterator<?> iterator(scala.collection.Iterator<?> from) {
        return new Iterator<Object>() {
            @Override
            public boolean hasNext() {
                return from.hasNext();
            }

            @Override
            public Object next() {
                return from.next();
            }
        };
    }

    private static Object call(Object target, String name) throws ReflectiveOperationException {
        Method method = target.getClass().getMethod(name);
        method.setAccessible(true);
        return method.invoke(target);
    }

    private static List<FilePartition> groups(Partition[] partitions, long bytes) {
        List<PartitionedFile> pieces = Arrays.stream(partitions)
            .flatMap(partition -> Arrays.stream(((FilePartition) partition).files())).collect(Collectors.toList());
        List<Place> places = new ArrayList<>();
        pieces.forEach(piece -> places.add(new Place(piece)));
        places.sort(Comparator.comparing((Place p) -> p.path, Files::compare).thenComparing(p -> p.piece.start()));
        List<FilePartition> groups = new ArrayList<>();
        List<PartitionedFile> group = new ArrayList<>();
        long size = 0;
        for (Place place : places) {
            long length = Math.max(OPENING, place.piece.length());
            if (!group.isEmpty() && size + length > bytes) {
                groups.add(new FilePartition(groups.size(), group.toArray(new PartitionedFile[0])));
                group.clear();
                size = 0;
            }
            group.add(place.piece);
            size += length;
        }
        if (!group.isEmpty()) {
            groups.add(new FilePartition(groups.size(), group.toArray(new PartitionedFile[0])));
        }
        return groups;
    }

    private static final class Place {
        final PartitionedFile piece;
        final String path;

        Place(PartitionedFile piece) {
            this.piece = piece;
            path = new Path(URI.create(piece.filePath().toString())).toString();
        }
    }
}
