//! How often values occur: each counted by itself while they are few, then in hash buckets.
package caudal;

import java.io.Serializable;

/** No value occurs more often than its bucket counts. Either {@code exact} or {@code buckets} is there. */
final class Frequencies implements Serializable {
    private static final long serialVersionUID = 1;
    private final int bits;
    private final int limit;
    LongCounts exact = new LongCounts();
    long[] buckets;

    /** @param bits of the number of buckets
     * @param limit of different values that are counted by themselves */
    Frequencies(int bits, int limit) {
        this.bits = bits;
        this.limit = limit;
    }

    /** Frequencies that were counted elsewhere, in hash buckets. */
    Frequencies(long[] buckets) {
        bits = Integer.numberOfTrailingZeros(buckets.length);
        limit = 0;
        exact = null;
        this.buckets = buckets;
    }

    static int bucket(long key, int bits) {
        return (int) (Keys.hash(key) >>> (64 - bits));
    }

    /** Counts finite values, here by themselves or their hash and there by their prefix, each looked at once. */
    void add(double[] values, int length, Prefixes prefixes) {
        int i = 0;
        for (; i < length && buckets == null; i++) {
            if (Math.abs(values[i]) <= Double.MAX_VALUE) {
                long key = Keys.of(values[i]);
                prefixes.add(key);
                exact.add(key, 1);
                widen();
            }
        }
        long[] counters = buckets;
        int shift = 64 - bits;
        for (; i < length; i++) {
            double x = values[i];
            if (Math.abs(x) <= Double.MAX_VALUE) {
                long key = Keys.of(x);
                prefixes.add(key);
                counters[(int) (Keys.hash(key) >>> shift)]++;
            }
        }
    }

    private void widen() {
        if (exact.size() > limit) {
            toBuckets();
        }
    }

    private void toBuckets() {
        long[] counters = new long[1 << bits];
        exact.each((key, count) -> counters[bucket(key, bits)] += count);
        buckets = counters;
        exact = null;
    }

    void merge(Frequencies other) {
        if (exact != null && other.exact != null) {
            exact.merge(other.exact);
            widen();
            return;
        }
        if (exact != null) {
            toBuckets();
        }
        if (other.exact != null) {
            other.exact.each((key, count) -> buckets[bucket(key, bits)] += count);
            return;
        }
        for (int i = 0; i < buckets.length; i++) {
            buckets[i] += other.buckets[i];
        }
    }
}
