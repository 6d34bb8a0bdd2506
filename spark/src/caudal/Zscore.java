//! Where |x - mean| > 3·std_dev begins, as doubles, so that outliers are counted by order alone.
package caudal;

/** The condition, evaluated in double, keeps the order of values: it holds from some double on, found by bisection. */
final class Zscore {
    private static final double HUGE = Math.scalb(1.0, 1000);
    private static final double TINY = Math.scalb(1.0, -900);
    private final double before;
    private final double after;
    private final double mean;
    private final double limit;
    private final double band;
    /** Below: first value of the band, first that is no outlier, first behind the band. Above: likewise. */
    final long[] keys;

    private interface Condition {
        boolean holds(double x);
    }

    Zscore(double mean, double stdDev) {
        before = stdDev > HUGE ? Math.scalb(1.0, -100) : 1;
        after = stdDev < TINY ? Math.scalb(1.0, 200) : 1;
        this.mean = mean * before;
        limit = 3 * (stdDev * before * after);
        band = 1e-12 * limit;
        keys = new long[] {
            first(x -> -deviation(x) - limit <= band),
            first(x -> -deviation(x) <= limit),
            first(x -> -deviation(x) - limit < -band),
            first(x -> deviation(x) - limit >= -band),
            first(x -> deviation(x) > limit),
            first(x -> deviation(x) - limit > band),
        };
    }

    private double deviation(double x) {
        return (x * before - mean) * after;
    }

    /** The key of the first double for which a condition holds that holds for all above it. */
    private static long first(Condition condition) {
        long from = Keys.of(-Double.MAX_VALUE);
        long to = Keys.of(Double.MAX_VALUE) + 1;
        while (from != to) {
            long middle = from + ((to - from) >>> 1);
            if (condition.holds(Keys.value(middle))) {
                to = middle;
            } else {
                from = middle + 1;
            }
        }
        return from;
    }
}
