//! The DataFrame pipeline: grouped histograms, and groupings of the few values that they leave open.
package caudal;

import static org.apache.spark.sql.functions.array;
import static org.apache.spark.sql.functions.coalesce;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.count;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.max;
import static org.apache.spark.sql.functions.min;
import static org.apache.spark.sql.functions.negate;
import static org.apache.spark.sql.functions.posexplode;
import static org.apache.spark.sql.functions.struct;
import static org.apache.spark.sql.functions.sum;
import static org.apache.spark.sql.functions.udf;
import static org.apache.spark.sql.functions.when;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.api.java.UDF1;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.BinaryType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.LongType;

/** Every grouping is over the cells of all columns: {@code c} the column's number, {@code x} its value or NaN. */
final class DataFramePipeline {
    /** Rows of one grouping that the driver collects, of all columns together, about. */
    private static final int GROUPS = 1 << 18;
    private static final int MOST_BITS = 16;
    private static final int RANGES = 64;
    private static final double TWO_63 = 9.223372036854775807E18;
    private final JavaSparkContext sc;
    private final Dataset<Row> source;
    private final Dataset<Row> cells;
    private final List<caudal.Column> columns;
    private final boolean distinct;

    DataFramePipeline(SparkSession spark, Dataset<Row> source, List<caudal.Column> columns, boolean distinct) {
        Functions.enter(spark);
        sc = new JavaSparkContext(spark.sparkContext());
        this.source = source;
        this.columns = columns;
        this.distinct = distinct;
        cells = cells(source, columns);
    }

    private static Dataset<Row> cells(Dataset<Row> source, List<caudal.Column> columns) {
        Column[] values = columns.stream().map(c -> number(source, c)).toArray(Column[]::new);
        if (values.length == 1) {
            return source.select(lit(0).as("c"), values[0].as("x"));
        }
        return source.select(posexplode(array(values)).as(new String[] {"c", "x"}));
    }

    private static Column number(Dataset<Row> source, caudal.Column column) {
        Column raw = source.col("`" + column.name.replace("`", "``") + "`");
        Column number = raw.cast(DataTypes.DoubleType);
        if (column.read instanceof BinaryType) {
            number = udf((UDF1<byte[], Double>) bytes -> bytes == null ? null : Columns.half(bytes), DataTypes.DoubleType).apply(raw);
        }
        return coalesce(number, lit(Double.NaN));
    }

    /** The moments of every column, by sums of our own: Spark's drift with the number of rows. */
    static List<Moments> moments(Dataset<Row> source, List<caudal.Column> columns) {
        Dataset<Row> numbers = source.select(columns.stream().map(c -> number(source, c)).toArray(Column[]::new));
        Columns doubles = new Columns(columns.stream().map(c -> new caudal.Column(c.name, "float64", null, DataTypes.DoubleType))
            .collect(Collectors.toList()));
        int width = columns.size();
        JavaRDD<InternalRow> rows = numbers.queryExecution().toRdd().toJavaRDD();
        Proof proof = RddPipeline.reduce(rows.mapPartitionsWithIndex(
            (i, it) -> Collections.singleton(Proof.of(i, doubles.blocks(it), width)).iterator(), true), Proof::merge);
        return IntStream.range(0, width).mapToObj(proof::moments).collect(Collectors.toList());
    }

    List<Profile> profile() {
        Events.step("dataframe: moments");
        List<Moments> moments = moments(source, columns);
        long[] inexact = inexact();
        Ordered[] ordered = histograms(moments);
        List<Values> values = frequencies(moments);
        List<Profile> profiles = new ArrayList<>();
        for (int c = 0; c < columns.size(); c++) {
            profiles.add(new Profile(moments.get(c), inexact[c], ordered[c]));
        }
        look(profiles, values);
        bring(values);
        for (int c = 0; c < columns.size(); c++) {
            values.get(c).into(profiles.get(c));
        }
        return profiles;
    }

    /** Integers that their conversion changes. */
    private long[] inexact() {
        long[] inexact = new long[columns.size()];
        List<Integer> whole = new ArrayList<>();
        List<Column> sums = new ArrayList<>();
        for (int c = 0; c < columns.size(); c++) {
            if (columns.get(c).mayBeInexact()) {
                whole.add(c);
                sums.add(sum(when(changes(columns.get(c)), 1).otherwise(0)));
            }
        }
        if (!sums.isEmpty()) {
            Events.step("dataframe: integers beyond 2^53");
            Row row = source.agg(sums.get(0), sums.subList(1, sums.size()).toArray(new Column[0])).head();
            for (int i = 0; i < whole.size(); i++) {
                inexact[whole.get(i)] = row.isNullAt(i) ? 0 : row.getLong(i);
            }
        }
        return inexact;
    }

    private Column changes(caudal.Column column) {
        Column raw = source.col("`" + column.name.replace("`", "``") + "`");
        Column converted = raw.cast(DataTypes.DoubleType);
        if (column.read instanceof LongType) {
            // 2^63 is no long, and becomes the largest one.
            return converted.cast(DataTypes.LongType).notEqual(raw).or(converted.equalTo(TWO_63));
        }
        // A double of this size is an integer, and its digits are those of the decimal.
        Column back = converted.cast("decimal(20,0)");
        return raw.isNotNull().and(back.isNull().or(back.notEqual(raw)));
    }

    /** Groups the values of every column by narrow buckets of a grid; each with its count, minimum and maximum. */
    private Ordered[] histograms(List<Moments> moments) {
        Events.step("dataframe: histograms");
        int buckets = Math.max(64, Math.min(1 << MOST_BITS, GROUPS / columns.size()));
        Grid[] grids = moments.stream().map(m -> m.count() == 0 ? null : new Grid(new Summary(m), buckets)).toArray(Grid[]::new);
        Column bucket = Functions.call(sc, (c, x) -> grids[c] == null ? -1 : grids[c].bucket(x));
        List<Row> rows = cells.groupBy(col("c"), bucket.as("b")).agg(count(lit(1)), min("x"), max("x")).where("b >= 0").collectAsList();
        List<List<Ordered.Range>> ranges = new ArrayList<>();
        for (int c = 0; c < columns.size(); c++) {
            ranges.add(new ArrayList<>());
        }
        for (Row row : rows) {
            ranges.get(row.getInt(0)).add(new Ordered.Range(Keys.of(row.getDouble(3)), Keys.of(row.getDouble(4)), row.getLong(2)));
        }
        ranges.forEach(Ordered::sort);
        return ranges.stream().map(r -> r.isEmpty() ? null : new Ordered(r)).toArray(Ordered[]::new);
    }

    /** Counts every column's values by hash buckets, unless all of them will be grouped anyway. */
    private List<Values> frequencies(List<Moments> moments) {
        if (distinct) {
            return moments.stream().map(m -> Values.uncounted(m.count())).collect(Collectors.toList());
        }
        Events.step("dataframe: hash buckets");
        int bits = Math.max(8, Math.min(MOST_BITS, 31 - Integer.numberOfLeadingZeros(GROUPS / columns.size())));
        Column bucket = Functions.call(sc, (c, x) -> Math.abs(x) <= Double.MAX_VALUE ? Frequencies.bucket(Keys.of(x), bits) : -1);
        long[][] buckets = new long[columns.size()][1 << bits];
        for (Row row : cells.groupBy(col("c"), bucket.as("h")).count().where("h >= 0").collectAsList()) {
            buckets[row.getInt(0)][row.getInt(1)] = row.getLong(2);
        }
        return Arrays.stream(buckets).map(b -> new Values(new Frequencies(b), false)).collect(Collectors.toList());
    }

    /** Groups the values that ranks and thresholds fall among, and those of the fullest hash buckets, until all is exact. */
    private void look(List<Profile> profiles, List<Values> values) {
        for (int number = 1; ; number++) {
            Look.Plan plan = new Look.Plan(columns.size());
            List<List<Ordered.Range>> asked = new ArrayList<>();
            boolean any = false;
            for (int c = 0; c < columns.size(); c++) {
                asked.add(profiles.get(c).ask());
                long fetched = Math.max(32, GROUPS / RANGES / columns.size());
                plan.probes[c] = asked.get(c).isEmpty() ? null : new Probe(asked.get(c), fetched);
                plan.hot[c] = number == 1 ? values.get(c).hot(Values.FEW_HOT) : null;
                any |= plan.probes[c] != null || plan.hot[c] != null;
            }
            if (!any) {
                return;
            }
            Events.step("dataframe: values around ranks and thresholds, look " + number);
            Groups groups = new Groups(plan);
            Groups.Places places = groups.places();
            Column single = when(col("p").equalTo(Groups.SINGLE), col("x"));
            cells.withColumn("p", Functions.call(sc, places::of)).where(col("p").notEqual(Groups.NONE)).groupBy(col("c"), col("p"), single.as("v"))
                .agg(count(lit(1)), min("x"), max("x")).collectAsList().forEach(groups::add);
            for (int c = 0; c < columns.size(); c++) {
                if (plan.probes[c] != null) {
                    profiles.get(c).ordered.replace(asked.get(c), groups.parts(c, asked.get(c)));
                }
                if (plan.hot[c] != null) {
                    values.get(c).counted(groups.counts(c));
                }
            }
        }
    }

    /** Groups the values of hash buckets that are still open one by one. */
    private void bring(List<Values> values) {
        Shuffle.Wanted[] open = values.stream().map(Values::open).toArray(Shuffle.Wanted[]::new);
        if (Arrays.stream(open).allMatch(Objects::isNull)) {
            return;
        }
        Events.step("dataframe: values of unresolved hash buckets");
        Column wanted = Functions.call(sc, (c, x) -> open[c] != null && open[c].holds(x) ? 1 : 0);
        Dataset<Row> counted = cells.where(wanted.equalTo(1)).groupBy("c", "x").agg(count(lit(1)).as("n"));
        Column best = max(struct(col("n"), negate(col("x")).as("y")));
        for (Row row : counted.groupBy("c").agg(count(lit(1)), best).collectAsList()) {
            Shuffle.Counted column = new Shuffle.Counted();
            column.distinct = row.getLong(1);
            Row mode = row.getStruct(2);
            column.best.offer(Keys.of(-mode.getDouble(1)), mode.getLong(0));
            values.get(row.getInt(0)).brought(column);
        }
    }
}
