//! Text files that have been looked at: their pieces, their columns, and how they are read.
package caudal;

import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.fs.FileStatus;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.util.SerializableConfiguration;

final class Texts {
    /** Items from which on executors look at them. */
    private static final int MANY = 16;
    final List<Piece> pieces;
    final Reading reading;
    final Choice choice;
    /** Why there is nothing to process; faults of the rows come first. */
    final Fault unfit;

    Texts(List<Piece> pieces, Reading reading, Choice choice, Fault unfit) {
        this.pieces = pieces;
        this.reading = reading;
        this.choice = choice;
        this.unfit = unfit;
    }

    List<String> names() {
        return names(choice);
    }

    static List<String> names(Choice choice) {
        List<String> names = new ArrayList<>();
        if (choice != null) {
            choice.columns.forEach(column -> names.add(column.name));
        }
        return names;
    }

    /** What is done with one item, here or on an executor. */
    interface Work<A, B> extends java.io.Serializable {
        B of(A item, org.apache.hadoop.conf.Configuration conf) throws java.io.IOException;
    }

    /** Does the same with every item, on the executors where there are many or each is much; in their order. */
    static <A, B> List<B> each(JavaSparkContext sc, List<A> items, boolean much, Work<A, B> work) throws java.io.IOException {
        List<B> done = new ArrayList<>();
        if (!much && items.size() < MANY) {
            for (A item : items) {
                done.add(work.of(item, sc.hadoopConfiguration()));
            }
            return done;
        }
        Broadcast<SerializableConfiguration> conf = sc.broadcast(new SerializableConfiguration(sc.hadoopConfiguration()));
        int tasks = Math.max(1, much ? Math.min(items.size(), 100_000) : Math.min(items.size(), sc.defaultParallelism() * 4));
        return sc.parallelize(items, tasks).map(item -> work.of(item, conf.value().value())).collect();
    }

    /** The files that hold anything, where there are several: writers leave an empty file where a task had no rows. */
    static List<String> paths(List<FileStatus> files) {
        List<String> paths = new ArrayList<>();
        for (FileStatus file : files) {
            if (files.size() == 1 || file.getLen() > 0) {
                paths.add(file.getPath().toString());
            }
        }
        if (paths.isEmpty()) {
            throw noRows();
        }
        return paths;
    }

    static Fault noRows() {
        return Fault.of("invalid_data", "the source holds no rows", null, null);
    }

    /** Tells where the columns of files differ from those of the first: one is missing, or numeric in one file only. */
    static void agree(List<String> files, List<List<Column>> offered, List<String> named) {
        List<Fault.Place> faults = new ArrayList<>();
        java.util.Map<String, Column> first = byName(offered.get(0));
        for (int i = 1; i < files.size(); i++) {
            java.util.Map<String, Column> there = byName(offered.get(i));
            for (Column column : offered.get(0)) {
                Column found = there.get(column.name);
                if (named != null && !named.contains(column.name)) {
                    continue;
                }
                if (found == null) {
                    faults.add(new Fault.Place(missing(column.name, files.get(0)), files.get(i), null, null));
                } else if (found.unfit == null != (column.unfit == null)) {
                    String detail = "it holds " + kind(found) + ", and " + kind(column) + " in " + files.get(0);
                    faults.add(new Fault.Place(detail, files.get(i), null, column.name));
                }
            }
            for (Column column : offered.get(i)) {
                if ((named == null || named.contains(column.name)) && !first.containsKey(column.name)) {
                    faults.add(new Fault.Place(missing(column.name, files.get(i)), files.get(0), null, null));
                }
            }
        }
        if (!faults.isEmpty()) {
            throw Fault.invalidData(faults);
        }
    }

    private static String missing(String column, String file) {
        return "the column \"" + column + "\" is missing; " + file + " has it";
    }

    private static String kind(Column column) {
        return (column.unfit == null ? "numbers (" : "no numbers (") + column.type + ")";
    }

    private static java.util.Map<String, Column> byName(List<Column> columns) {
        java.util.Map<String, Column> map = new java.util.HashMap<>();
        columns.forEach(column -> map.putIfAbsent(column.name, column));
        return map;
    }
}
