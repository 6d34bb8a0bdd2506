//! Percentiles by Hyndman and Fan's type 7, Tukey's fences, and the edges of the histogram.
package caudal;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;

/** Every operation is rounded once; the formulas keep their order when their inputs do. */
final class Quantiles {
    static final int[] PERCENTILES = {1, 5, 25, 50, 75, 90, 95, 99};
    private static final int BINS = 20;

    private Quantiles() {}

    /** The rank i of p·(n - 1) = 100·i + r. */
    static long rank(int p, long n) {
        return position(p, n)[0].longValue();
    }

    /** The remainder r of p·(n - 1) = 100·i + r. */
    static int rest(int p, long n) {
        return position(p, n)[1].intValue();
    }

    private static BigInteger[] position(int p, long n) {
        return BigInteger.valueOf(n - 1).multiply(BigInteger.valueOf(p)).divideAndRemainder(BigInteger.valueOf(100));
    }

    /** Between a and b, which are the values of neighbouring ranks. */
    static double interpolate(double a, double b, int hundredths) {
        if (hundredths == 0) {
            return a;
        }
        double t = hundredths / 100.0;
        double step = b - a;
        if (Double.isInfinite(step)) {
            return a * (1 - t) + b * t;
        }
        return t < 0.5 ? a + step * t : b - step * (1 - t);
    }

    /** quartile + factor·iqr, on halves where an intermediate result is beyond double; may be infinite. */
    static double fence(double quartile, double factor, double iqr) {
        double reach = factor * iqr;
        return Double.isInfinite(reach) ? (quartile / 2 + factor / 2 * iqr) * 2 : quartile + reach;
    }

    /** Lower (index 0) and upper fence of two quartiles; may be infinite or, where iqr is, meaningless. */
    static double[] fences(double q1, double q3) {
        double iqr = q3 - q1;
        return new double[] {fence(q1, -1.5, iqr), fence(q3, 1.5, iqr)};
    }

    /** Ascending edges, equal ones merged; a constant column has one bin up to the next double above. */
    static double[] edges(double min, double max) {
        if (min == max) {
            return new double[] {min, Math.min(Math.nextUp(min), Double.MAX_VALUE)};
        }
        double range = max - min;
        List<Double> edges = new ArrayList<>();
        for (int j = 0; j <= BINS; j++) {
            double share = (double) j / BINS;
            double plain = min + range * share;
            double halved = (min / 2 + (max / 2 - min / 2) * share) * 2;
            double edge = j == BINS ? max : Double.isInfinite(range) ? halved : plain;
            if (edges.isEmpty() || edges.get(edges.size() - 1) != edge) {
                edges.add(edge + 0.0);
            }
        }
        return edges.stream().mapToDouble(Double::doubleValue).toArray();
    }
}
