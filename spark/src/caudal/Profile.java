//! A column's statistics while they are found: what is known, and which ranges of values have to be looked into.
package caudal;

import java.util.ArrayList;
import java.util.List;

/** {@link #ask} is called until {@link #isComplete}; in between the asked ranges are looked into. */
final class Profile {
    final Summary summary;
    long inexact;
    /** Null of a column without finite values. */
    final Ordered ordered;
    final Double[] percentiles = new Double[Quantiles.PERCENTILES.length];
    Double iqr;
    Double lowerFence;
    Double upperFence;
    long outliers;
    long zscoreOutliers;
    long zscoreBorderline;
    long zeros;
    long negatives;
    double[] edges = {};
    long[] histogram = {};
    /** Null of a column without finite values. */
    Frequency mode;
    /** Null where it was not asked for. */
    Long distinct;
    /** Of the values that were written; null where nothing was. */
    Summary normalized;
    private boolean complete;

    Profile(Moments moments, long inexact, Ordered ordered) {
        summary = new Summary(moments);
        this.inexact = inexact;
        this.ordered = ordered;
    }

    boolean isComplete() {
        return complete;
    }

    Double percentile(int p) {
        for (int i = 0; i < percentiles.length; i++) {
            if (Quantiles.PERCENTILES[i] == p) {
                return percentiles[i];
            }
        }
        throw new IllegalArgumentException("percentile " + p);
    }

    /** Answers what can be answered; the ranges that have to be looked into for the rest, none when it is complete. */
    List<Ordered.Range> ask() {
        if (complete || summary.count == 0) {
            complete = true;
            return new ArrayList<>();
        }
        countSigns();
        countBins();
        countZscores();
        double[][] quartiles = askPercentiles();
        askFences(quartiles[0], quartiles[1]);
        List<Ordered.Range> wanted = ordered.takeWanted();
        complete = wanted.isEmpty();
        return wanted;
    }

    private void countSigns() {
        long zero = Keys.of(0.0);
        negatives = ordered.below(zero);
        zeros = ordered.below(Keys.next(zero)) - negatives;
    }

    private void countBins() {
        edges = Quantiles.edges(summary.min, summary.max);
        histogram = new long[edges.length - 1];
        long before = 0;
        for (int j = 0; j < histogram.length; j++) {
            long next = j + 1 == histogram.length ? ordered.count() : ordered.below(Keys.of(edges[j + 1]));
            histogram[j] = next - before;
            before = next;
        }
    }

    private void countZscores() {
        if (summary.isConstant()) {
            return;
        }
        long[] keys = new Zscore(summary.mean, summary.stdDev).keys;
        long[] below = new long[keys.length];
        for (int i = 0; i < keys.length; i++) {
            below[i] = ordered.below(keys[i]);
        }
        zscoreOutliers = below[1] + ordered.count() - below[4];
        zscoreBorderline = below[2] - below[0] + below[5] - below[3];
    }

    /** Bounds of the first and the third quartile; each two are equal once it is known. */
    private double[][] askPercentiles() {
        double[][] quartiles = new double[2][];
        for (int i = 0; i < percentiles.length; i++) {
            int p = Quantiles.PERCENTILES[i];
            long rank = Quantiles.rank(p, summary.count);
            int rest = Quantiles.rest(p, summary.count);
            long[] a = ordered.at(rank);
            long[] b = rest == 0 ? a : ordered.at(rank + 1);
            double low = Quantiles.interpolate(Keys.value(a[0]), Keys.value(b[0]), rest) + 0.0;
            double high = Quantiles.interpolate(Keys.value(a[1]), Keys.value(b[1]), rest) + 0.0;
            boolean known = a[0] == a[1] && b[0] == b[1];
            percentiles[i] = low;
            if (p == 25 || p == 75) {
                quartiles[p / 50] = known ? new double[] {low, high} : new double[] {slack(low, -4), slack(high, 4)};
            }
        }
        return quartiles;
    }

    /** Some doubles below or above, since interpolation rounds. */
    private static double slack(double x, int steps) {
        double moved = x;
        for (int i = 0; i < Math.abs(steps); i++) {
            moved = steps < 0 ? Math.nextDown(moved) : Math.nextUp(moved);
        }
        return Math.max(-Double.MAX_VALUE, Math.min(Double.MAX_VALUE, moved));
    }

    private void askFences(double[] q1, double[] q3) {
        if (q1[0] == q1[1] && q3[0] == q3[1]) {
            countOutliers(q1[0], q3[0]);
            return;
        }
        // A fence moves with its quartiles, the lower one up with the first and down with the third.
        want(Quantiles.fences(q1[0], q3[1])[0], Quantiles.fences(q1[1], q3[0])[0]);
        want(Quantiles.fences(q1[1], q3[0])[1], Quantiles.fences(q1[0], q3[1])[1]);
    }

    private void want(double low, double high) {
        if (!(low > high)) {
            ordered.want(key(low), key(high));
        }
    }

    private static long key(double x) {
        double finite = Double.isNaN(x) ? 0 : Math.max(-Double.MAX_VALUE, Math.min(Double.MAX_VALUE, x));
        return Keys.of(finite);
    }

    private void countOutliers(double q1, double q3) {
        double[] fences = Quantiles.fences(q1, q3);
        iqr = kept("iqr", q3 - q1);
        lowerFence = kept("lower_bound", fences[0]);
        upperFence = kept("upper_bound", fences[1]);
        long below = lowerFence == null ? 0 : ordered.below(Keys.of(lowerFence));
        long above = upperFence == null ? 0 : ordered.count() - ordered.below(Keys.next(Keys.of(upperFence)));
        outliers = below + above;
    }

    private Double kept(String name, double value) {
        if (Double.isInfinite(value) || Double.isNaN(value)) {
            if (!summary.overflowed.contains(name)) {
                summary.overflowed.add(name);
            }
            return null;
        }
        return value + 0.0;
    }
}
