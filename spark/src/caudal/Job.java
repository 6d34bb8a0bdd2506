//! The entry of a submission: reads what is asked, runs the pipelines, normalises, and writes the results.
package caudal;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;

public final class Job {
    private static final int FAULT_OF_THE_USER = 3;
    private static final int FAILED = 1;
    private static final int SHOWN = 10;
    private final SparkSession spark;
    private final JavaSparkContext sc;
    private final Configuration conf;
    private final Spec spec;
    private final Metrics metrics;
    private final List<String> reasons = new ArrayList<>();
    private final ObjectNode results = Results.JSON.createObjectNode();

    private Job(SparkSession spark, Metrics metrics, Spec spec) {
        this.spark = spark;
        this.metrics = metrics;
        this.spec = spec;
        sc = new JavaSparkContext(spark.sparkContext());
        conf = sc.hadoopConfiguration();
    }

    /** {@code caudal.Job SPEC}: ends the process with 0, with 3 for a fault of the user, with 1 for any other. */
    public static void main(String[] arguments) {
        int code = arguments.length == 1 ? submit(arguments[0]) : FAULT_OF_THE_USER;
        if (arguments.length != 1) {
            Events.fault(Fault.invalidRequest("expected one argument, the URI or path of the job's document"));
        }
        System.exit(code);
    }

    private static int submit(String uri) {
        SparkSession spark;
        try {
            spark = session();
        } catch (RuntimeException e) {
            Events.fault(Faults.of(e));
            return FAILED;
        }
        Metrics metrics = new Metrics();
        spark.sparkContext().addSparkListener(metrics);
        int code = run(spark, metrics, uri);
        spark.stop();
        return code;
    }

    static SparkSession session() {
        SparkConf conf = new SparkConf();
        conf.setIfMissing("spark.driver.maxResultSize", "4g");
        conf.setIfMissing("spark.sql.adaptive.enabled", "true");
        conf.setIfMissing("spark.ui.showConsoleProgress", "false");
        // Names of columns are told apart as the user wrote them, and integers are converted as the contract says.
        conf.set("spark.sql.caseSensitive", "true");
        conf.set("spark.sql.ansi.enabled", "false");
        return SparkSession.builder().config(conf).getOrCreate();
    }

    /** Runs one submission within a session; the exit code. */
    static int run(SparkSession spark, Metrics metrics, String uri) {
        try {
            Spec spec = Spec.read(uri, spark.sparkContext().hadoopConfiguration());
            Events.say(Events.event("started").put("application_id", spark.sparkContext().applicationId())
                .put("version", spark.version()).put("master", spark.sparkContext().master())
                .put("cores", spark.sparkContext().defaultParallelism()));
            new Job(spark, metrics, spec).run();
            Events.say(Events.event("finished").put("results_uri", spec.results));
            return 0;
        } catch (Exception | OutOfMemoryError e) {
            Fault fault = Faults.of(e);
            if (!fault.isOfTheUser()) {
                e.printStackTrace();
            }
            Events.fault(fault);
            return fault.isOfTheUser() ? FAULT_OF_THE_USER : FAILED;
        }
    }

    private void run() throws IOException {
        long begun = System.nanoTime();
        List<FileStatus> files = Files.of(spec.uris, conf);
        try {
            process(source(files), begun);
        } finally {
            Files.delete(spec.scratch, conf);
            Files.delete(spec.scratch + ".written", conf);
        }
    }

    private Source source(List<FileStatus> files) throws IOException {
        if (spec.format.equals("parquet")) {
            return Source.open(spark, files, spec.columns);
        }
        long begun = System.nanoTime();
        Source source = Conversion.open(spark, files, spec);
        reasons.add(String.format(java.util.Locale.ROOT, "%s is read once and kept as Parquet for the passes over it: %d MB in %.1f s",
            spec.format, source.bytes >> 20, seconds(begun, System.nanoTime())));
        return source;
    }

    private void process(Source source, long begun) throws IOException {
        describe(source);
        JavaRDD<Block> blocks = source.blocks();
        reasons.add(source.reason(blocks.getNumPartitions()));
        List<Profile> byRdd = null;
        List<Profile> byDataFrame = null;
        long rddBegun = System.nanoTime();
        if (spec.rdd) {
            byRdd = new RddPipeline(sc, blocks, source.columns.size(), spec.distinct).profile();
        }
        long dataFrameBegun = System.nanoTime();
        if (spec.dataFrame) {
            byDataFrame = new DataFramePipeline(spark, source.dataFrame(), source.columns, spec.distinct).profile();
        }
        long profiled = System.nanoTime();
        double rdd = seconds(rddBegun, dataFrameBegun);
        double dataFrame = seconds(dataFrameBegun, profiled);
        if (spec.output != null) {
            normalize(source, blocks, byRdd == null ? byDataFrame : byRdd);
            double[] proofs = prove(source.columns, byRdd, byDataFrame);
            rdd += proofs[0];
            dataFrame += proofs[1];
        }
        put("rdd_results", source, byRdd, rdd);
        put("dataframe_results", source, byDataFrame, dataFrame);
        finish(begun);
    }

    private static double seconds(long from, long to) {
        return (to - from) / 1e9;
    }

    private void describe(Source source) {
        results.put("job_id", spec.jobId).put("attempt", spec.attempt).put("rows", source.rows).put("bytes_read", source.bytes);
        ArrayNode columns = results.putArray("columns");
        source.columns.forEach(column -> columns.addObject().put("name", column.name).put("data_type", column.type));
        ArrayNode skipped = results.putArray("skipped_columns");
        source.choice.skipped.forEach(column -> skipped.addObject().put("name", column.name).put("data_type", column.type)
            .put("reason", column.unfit));
    }

    private void put(String name, Source source, List<Profile> profiles, double seconds) {
        for (int c = 0; profiles != null && source.inexact != null && c < profiles.size(); c++) {
            profiles.get(c).inexact = source.inexact[c];
        }
        ObjectNode pipeline = profiles == null ? Results.JSON.createObjectNode().put("status", "skipped")
            : Results.pipeline(source.columns, profiles, seconds);
        results.set(name, pipeline);
    }

    /** Writes the normalised rows, the last pass over the source. */
    private void normalize(Source source, JavaRDD<Block> blocks, List<Profile> profiles) throws IOException {
        long begun = System.nanoTime();
        Events.step("normalization: writing");
        Scaler[] scalers = profiles.stream().map(profile -> Scaler.fit(spec.normalization, profile)).toArray(Scaler[]::new);
        JavaRDD<Block> normalized = blocks.map(block -> scale(scalers, block));
        boolean small = source.rows * scalers.length <= spec.mostJsonElements;
        String format = spec.outputFormat.equals("json") && !small ? "ndjson" : spec.outputFormat;
        Output.write(sc, format.equals("json") ? normalized.coalesce(1) : normalized, source.columns, spec.output, format);
        double[][] first = first(normalized, scalers.length);
        ObjectNode stage = Results.JSON.createObjectNode().put("device", "spark").put("gpu_used", false)
            .putNull("fallback_reason").put("processing_time", seconds(begun, System.nanoTime())).put("normalization", spec.normalization);
        ObjectNode columns = stage.putObject("columns");
        for (int c = 0; c < scalers.length; c++) {
            columns.set(source.columns.get(c).name, Results.normalized(profiles.get(c), scalers[c], first[c]));
        }
        results.set("gpu_processing", stage);
        results.putObject("output").put("format", format);
    }

    private static Block scale(Scaler[] scalers, Block block) {
        for (int c = 0; c < scalers.length; c++) {
            scalers[c].apply(block.values[c], block.values[c], block.rows);
        }
        return block;
    }

    /** The first rows, by column. */
    private static double[][] first(JavaRDD<Block> normalized, int columns) {
        List<double[][]> starts = normalized.map(block -> {
            double[][] start = new double[columns][];
            for (int c = 0; c < columns; c++) {
                start[c] = java.util.Arrays.copyOf(block.values[c], Math.min(SHOWN, block.rows));
            }
            return start;
        }).take(SHOWN);
        double[][] first = new double[columns][];
        for (int c = 0; c < columns; c++) {
            int column = c;
            first[c] = starts.stream().flatMapToDouble(start -> java.util.Arrays.stream(start[column])).limit(SHOWN).toArray();
        }
        return first;
    }

    /** Reads back what was written through every pipeline that ran; the seconds that each took. */
    private double[] prove(List<Column> columns, List<Profile> byRdd, List<Profile> byDataFrame) throws IOException {
        ObjectNode output = (ObjectNode) results.get("output");
        Events.step("normalization: reading back");
        Written written = new Written(spark, spec.output, output.get("format").asText(), columns, spec.scratch + ".written");
        written.describe(output.putArray("files"));
        long begun = System.nanoTime();
        if (byRdd != null) {
            Events.step("rdd: reading back");
            written.proveByRdd(byRdd);
        }
        long between = System.nanoTime();
        if (byDataFrame != null) {
            Events.step("dataframe: reading back");
            written.proveByDataFrame(byDataFrame);
        }
        return new double[] {seconds(begun, between), seconds(between, System.nanoTime())};
    }

    private void finish(long begun) throws IOException {
        if (spec.output == null) {
            results.putNull("gpu_processing").putNull("output");
        }
        Listening.drain(spark.sparkContext());
        results.set("spark", metrics.all(spark.sparkContext(), seconds(begun, System.nanoTime())));
        results.set("rdd_metrics", metrics.of("rdd"));
        results.set("dataframe_metrics", metrics.of("dataframe"));
        results.set("normalization_metrics", metrics.of("normalization"));
        ArrayNode told = results.putArray("reasons");
        reasons.forEach(told::add);
        Files.write(spec.results, Results.JSON.writeValueAsBytes(results), conf);
    }
}
