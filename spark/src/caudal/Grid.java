//! Narrow buckets of equal width that keep the order of values: most of them where most values are.
package caudal;

import java.io.Serializable;

final class Grid implements Serializable {
    private static final long serialVersionUID = 1;
    /** Standard deviations around the mean that are divided evenly; what lies beyond is one bucket on each side. */
    private static final double REACH = 6;
    private final int last;
    private final double low;
    private final double perUnit;
    /** In place of the width: where it is beyond double, buckets are of equally many doubles. */
    private final long lowKey;
    private final int shift;
    private final boolean byKeys;

    Grid(Summary summary, int buckets) {
        last = buckets - 1;
        double from = Math.max(summary.min, summary.mean - REACH * summary.stdDev);
        double to = Math.min(summary.max, summary.mean + REACH * summary.stdDev);
        low = from;
        perUnit = (buckets - 2) / (to - from);
        byKeys = !(perUnit > 0 && perUnit <= Double.MAX_VALUE) || Double.isInfinite(from) || Double.isInfinite(to - from);
        lowKey = Keys.of(summary.min);
        int width = 64 - Long.numberOfLeadingZeros(Keys.of(summary.max) - lowKey);
        shift = Math.max(0, width - (31 - Integer.numberOfLeadingZeros(buckets)));
    }

    /** The number of the bucket of a value; -1 for one that is not finite. */
    int bucket(double x) {
        if (!(Math.abs(x) <= Double.MAX_VALUE)) {
            return -1;
        }
        if (byKeys) {
            return (int) ((Keys.of(x) - lowKey) >>> shift);
        }
        // Each step keeps the order of values, whatever it rounds.
        double place = (x - low) * perUnit;
        return place < 0 ? 0 : place >= last - 1 ? last : (int) place + 1;
    }
}
