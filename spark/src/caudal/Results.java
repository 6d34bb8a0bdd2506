//! The results as JSON, with the names of the contract.
package caudal;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;

final class Results {
    static final ObjectMapper JSON = new ObjectMapper();

    private Results() {}

    /** One pipeline: all columns, in source order. */
    static ObjectNode pipeline(List<Column> columns, List<Profile> profiles, double seconds) {
        ObjectNode results = JSON.createObjectNode().put("status", "completed").put("processing_time", seconds);
        ObjectNode all = results.putObject("columns");
        for (int c = 0; c < columns.size(); c++) {
            all.set(columns.get(c).name, column(profiles.get(c)));
        }
        return results;
    }

    private static ObjectNode column(Profile profile) {
        Summary summary = profile.summary;
        Moments moments = summary.moments;
        ObjectNode column = JSON.createObjectNode()
            .put("rows", moments.rows).put("missing", moments.missing).put("infinite", moments.infinite())
            .put("positive_infinite", moments.positiveInfinite).put("negative_infinite", moments.negativeInfinite)
            .put("count", summary.count).put("sum", summary.sum).put("mean", summary.mean)
            .put("variance", summary.variance).put("std_dev", summary.stdDev)
            .put("variance_sample", summary.varianceSample).put("std_dev_sample", summary.stdDevSample)
            .put("min", summary.min).put("max", summary.max).put("range", summary.range)
            .put("skewness", summary.skewness).put("kurtosis", summary.kurtosis);
        order(column, profile);
        column.put("inexact_integers", profile.inexact);
        ArrayNode overflowed = column.putArray("overflowed");
        summary.overflowed.forEach(overflowed::add);
        long good = summary.count - profile.zscoreOutliers;
        column.put("quality_score", moments.rows == 0 ? null : (Double) ((double) good / moments.rows));
        if (profile.normalized == null) {
            column.putNull("normalized");
        } else {
            moments(column.putObject("normalized").put("count", profile.normalized.count), profile.normalized);
        }
        return column.put("method", "exact");
    }

    private static void order(ObjectNode column, Profile profile) {
        ObjectNode percentiles = column.putObject("percentiles");
        for (int i = 0; i < Quantiles.PERCENTILES.length; i++) {
            percentiles.put("p" + Quantiles.PERCENTILES[i], profile.percentiles[i]);
        }
        column.put("median", profile.percentile(50));
        column.putObject("quartiles").put("q1", profile.percentile(25)).put("q3", profile.percentile(75)).put("iqr", profile.iqr);
        if (profile.mode == null) {
            column.putNull("mode");
        } else {
            column.putObject("mode").put("value", Keys.value(profile.mode.key)).put("frequency", profile.mode.count);
        }
        column.putObject("outliers").put("lower_bound", profile.lowerFence).put("upper_bound", profile.upperFence)
            .put("count", profile.outliers);
        column.put("zscore_outliers", profile.zscoreOutliers).put("zscore_borderline", profile.zscoreBorderline)
            .put("zeros", profile.zeros).put("negatives", profile.negatives).put("distinct", profile.distinct);
        ObjectNode histogram = column.putObject("histogram");
        ArrayNode edges = histogram.putArray("edges");
        ArrayNode counts = histogram.putArray("counts");
        for (double edge : profile.edges) {
            edges.add(edge);
        }
        for (long count : profile.histogram) {
            counts.add(count);
        }
    }

    private static ObjectNode moments(ObjectNode into, Summary summary) {
        return into.put("mean", summary.mean).put("std_dev", summary.stdDev).put("min", summary.min).put("max", summary.max);
    }

    /** What the normalisation of one column did; {@code first} are its first rows as they were written. */
    static ObjectNode normalized(Profile profile, Scaler scaler, double[] first) {
        Summary summary = profile.summary;
        ObjectNode column = moments(JSON.createObjectNode().put("count", summary.count).put("missing", summary.moments.missing)
            .put("infinite", summary.moments.infinite()), summary);
        ObjectNode parameters = column.putObject("parameters").put("center", scaler.center).put("scale", scaler.scale);
        if (scaler.halfScale != null) {
            parameters.put("half_scale", scaler.halfScale);
        }
        ArrayNode shown = column.putArray("normalized_data");
        for (double value : first) {
            if (value != value) {
                shown.addNull();
            } else if (Math.abs(value) > Double.MAX_VALUE) {
                shown.add(value > 0 ? "Infinity" : "-Infinity");
            } else {
                shown.add(value);
            }
        }
        ArrayNode warnings = column.putArray("warnings");
        if (scaler.warning != null) {
            warnings.add(scaler.warning);
        }
        return column;
    }
}
