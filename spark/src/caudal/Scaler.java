//! What a normalisation subtracts and divides by, and how one value is transformed.
package caudal;

import java.io.Serializable;

/** Exactly one of {@code scale} and {@code halfScale} is given; half of a scale that is itself beyond double. */
final class Scaler implements Serializable {
    private static final long serialVersionUID = 1;
    final double center;
    final Double scale;
    final Double halfScale;
    /** Why a scale of 0 was replaced by 1; null where it was not. */
    final String warning;

    private Scaler(double center, Double scale, Double halfScale, String warning) {
        this.center = center;
        this.scale = scale;
        this.halfScale = halfScale;
        this.warning = warning;
    }

    /** Fits a method to a column's finite values. */
    static Scaler fit(String method, Profile profile) {
        Summary summary = profile.summary;
        if (summary.count == 0 || method.equals("none")) {
            return new Scaler(0, 1.0, null, null);
        }
        switch (method) {
            case "minmax":
                return of(summary.min, summary.range, summary.max / 2 - summary.min / 2, "constant_column");
            case "maxabs":
                return of(0, Math.max(Math.abs(summary.min), Math.abs(summary.max)), 1, "constant_column");
            case "robust":
                double half = profile.percentile(75) / 2 - profile.percentile(25) / 2;
                return of(profile.percentile(50), profile.iqr, half, summary.isConstant() ? "constant_column" : "zero_iqr");
            default:
                return of(summary.mean, summary.stdDev, 1, "constant_column");
        }
    }

    private static Scaler of(double center, Double scale, double halfScale, String warning) {
        if (scale == null) {
            return new Scaler(center, null, halfScale, null);
        }
        return scale == 0 ? new Scaler(center, 1.0, null, warning) : new Scaler(center, scale, null, null);
    }

    /** Normalises some values; what is missing or infinite stays as it is, and no finite value becomes infinite. */
    void apply(double[] from, double[] to, int length) {
        double shrink = scale == null ? 0.5 : 1;
        double middle = center * shrink;
        double divisor = scale == null ? halfScale : scale;
        for (int i = 0; i < length; i++) {
            double y = (from[i] * shrink - middle) / divisor;
            to[i] = Math.abs(y) <= Double.MAX_VALUE ? y : carefully(from[i], shrink, middle, divisor);
        }
    }

    private static double carefully(double x, double shrink, double middle, double divisor) {
        if (!(Math.abs(x) <= Double.MAX_VALUE)) {
            return x;
        }
        double difference = x * shrink - middle;
        // The signs differ where the difference is infinite, so that two infinite quotients cannot cancel.
        double quotient = Double.isInfinite(difference) ? x * shrink / divisor - middle / divisor : difference / divisor;
        return Math.max(-Double.MAX_VALUE, Math.min(Double.MAX_VALUE, quotient));
    }
}
