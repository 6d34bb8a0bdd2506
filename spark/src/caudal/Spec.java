//! What a submission asks for: the document that spark-submit is given.
package caudal;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

final class Spec {
    final String jobId;
    final int attempt;
    final List<String> uris;
    final String format;
    /** Null for every numeric column. */
    final List<String> columns;
    final String normalization;
    final boolean distinct;
    final boolean rdd;
    final boolean dataFrame;
    /** Null where nothing is written. */
    final String output;
    final String outputFormat;
    final String results;
    final String scratch;
    final long mostJsonElements;
    /** Of one piece of text; 0 where the job chooses. */
    final long pieceBytes;

    private Spec(JsonNode spec) {
        jobId = spec.path("job_id").asText("");
        attempt = spec.path("attempt").asInt(1);
        JsonNode source = spec.path("source");
        uris = texts(source.path("uris"));
        columns = source.hasNonNull("columns") ? texts(source.get("columns")) : null;
        format = among("source.format", source.path("format").asText(""), "parquet", "csv", "ndjson");
        normalization = among("normalization", spec.path("normalization").asText("zscore"),
            "zscore", "minmax", "maxabs", "robust", "none");
        distinct = among("statistics", spec.path("statistics").asText("full"), "full", "core").equals("full");
        List<String> pipelines = spec.hasNonNull("pipelines") ? texts(spec.get("pipelines")) : Arrays.asList("rdd", "dataframe");
        pipelines.forEach(name -> among("pipelines", name, "rdd", "dataframe"));
        rdd = pipelines.contains("rdd");
        dataFrame = pipelines.contains("dataframe");
        output = spec.path("output").hasNonNull("uri") ? spec.path("output").get("uri").asText() : null;
        outputFormat = among("output.format", spec.path("output").path("format").asText("parquet"),
            "parquet", "csv", "ndjson", "json");
        results = spec.path("results_uri").asText("");
        scratch = spec.hasNonNull("scratch_uri") ? spec.get("scratch_uri").asText() : (output == null ? results : output) + ".scratch";
        pieceBytes = spec.path("piece_bytes").asLong(0);
        mostJsonElements = spec.path("max_in_memory_json_elements").asLong(1_000_000);
        require(!uris.isEmpty(), "source.uris: expected at least one file");
        require(!results.isEmpty(), "results_uri: expected where the results go");
        require(rdd || dataFrame, "pipelines: expected rdd, dataframe or both");
    }

    /** Reads the document through Hadoop's file systems; a plain path is a local file. */
    static Spec read(String uri, Configuration conf) {
        Path path = path(uri);
        try (InputStream in = path.getFileSystem(conf).open(path)) {
            return new Spec(new ObjectMapper().readTree(in));
        } catch (IOException e) {
            throw Fault.of("invalid_request", "the job's document cannot be read: " + e.getMessage(), uri, null);
        }
    }

    static Path path(String uri) {
        return uri.startsWith("/") ? new Path("file", null, uri) : new Path(uri);
    }

    private static List<String> texts(JsonNode array) {
        List<String> texts = new ArrayList<>();
        array.forEach(node -> texts.add(node.asText()));
        return texts;
    }

    private static String among(String name, String value, String... allowed) {
        require(Arrays.asList(allowed).contains(value),
            name + ": expected one of " + String.join(", ", allowed) + ", found \"" + value + "\"");
        return value;
    }

    private static void require(boolean holds, String detail) {
        if (!holds) {
            throw Fault.invalidRequest(detail);
        }
    }
}
