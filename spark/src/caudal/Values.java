//! How often values occur, driver side: which hash buckets are counted, whether the mode is proven, and how many values differ.
package caudal;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/** Of one column, from its frequencies of the first pass on. */
final class Values {
    static final int FEW_HOT = 64;
    private static final int MOST_HOT = 1024;
    /** A bucket with so many times the mean of all is taken to hold a frequent value. */
    private static final int STANDS_OUT = 4;
    /** How far below the fullest bucket, in means, one may hold as frequent a value: other values are about one mean of each. */
    private static final int RIVALS = 2;
    private static final int MOST_COUNTED = 1 << 18;
    /** Null where nothing was counted. */
    private final Frequencies frequencies;
    private final int bits;
    private final boolean distinctWanted;
    private final long uncounted;
    private BitSet hot = new BitSet();
    private final Frequency best = new Frequency(0, 0);
    private long distinct;

    Values(Frequencies frequencies, boolean distinctWanted) {
        this.frequencies = frequencies;
        this.distinctWanted = distinctWanted;
        uncounted = 0;
        bits = frequencies.buckets == null ? 0 : Integer.numberOfTrailingZeros(frequencies.buckets.length);
        if (frequencies.exact != null) {
            best.offer(frequencies.exact.mode());
            distinct = frequencies.exact.size();
        }
    }

    private Values(long uncounted) {
        frequencies = null;
        bits = 1;
        distinctWanted = true;
        this.uncounted = uncounted;
    }

    /** Of a column whose values are brought together whatever they are. */
    static Values uncounted(long values) {
        return new Values(values);
    }

    /** How many buckets can be counted in a task where there are so many columns. */
    static int mostHot(int columns) {
        return Math.max(FEW_HOT, MOST_HOT / columns);
    }

    /** The buckets to count value by value, at most so many; null where every value has been counted or none will be. */
    Look.Hot hot(int most) {
        if (frequencies == null || frequencies.exact != null) {
            return null;
        }
        long total = 0;
        List<Integer> order = new ArrayList<>();
        for (int bucket = 0; bucket < frequencies.buckets.length; bucket++) {
            total += frequencies.buckets[bucket];
            order.add(bucket);
        }
        order.sort((a, b) -> Long.compare(frequencies.buckets[b], frequencies.buckets[a]));
        double mean = (double) total / frequencies.buckets.length;
        long fullest = frequencies.buckets[order.get(0)];
        for (int bucket : order.subList(0, Math.min(most, order.size()))) {
            long count = frequencies.buckets[bucket];
            boolean frequent = count > STANDS_OUT * mean && (hot.cardinality() < FEW_HOT || count > fullest - RIVALS * mean);
            // The fullest bucket in any case: it gives a frequency that others have to reach.
            if (hot.isEmpty() || frequent) {
                hot.set(bucket);
            }
        }
        return new Look.Hot(bits, hot, MOST_COUNTED);
    }

    /** Takes the counts of the hot buckets, null where there were too many values. */
    void counted(LongCounts counts) {
        if (counts == null) {
            hot = new BitSet();
            return;
        }
        best.offer(counts.mode());
        distinct += counts.size();
    }

    /** The buckets whose values have to be brought together; null where nothing is open. */
    Shuffle.Wanted open() {
        BitSet open = new BitSet();
        if (frequencies == null) {
            open.set(0, 1 << bits);
            return uncounted == 0 ? null : new Shuffle.Wanted(bits, open, uncounted);
        }
        if (frequencies.exact != null) {
            return null;
        }
        long rows = 0;
        for (int bucket = 0; bucket < frequencies.buckets.length; bucket++) {
            long count = frequencies.buckets[bucket];
            if (count > 0 && !hot.get(bucket) && (distinctWanted || count >= best.count)) {
                open.set(bucket);
                rows += count;
            }
        }
        return open.isEmpty() ? null : new Shuffle.Wanted(bits, open, rows);
    }

    void brought(Shuffle.Counted counted) {
        best.offer(counted.best);
        distinct += counted.distinct;
    }

    void into(Profile profile) {
        profile.mode = best.count == 0 ? null : best;
        profile.distinct = distinctWanted ? Long.valueOf(distinct) : null;
    }
}
