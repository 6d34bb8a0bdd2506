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

    void add(double[] values, int length) {
        int i = 0;
        for (; i < length && buckets == null; i++) {
            if (Math.abs(values[i]) <= Double.MAX_VALUE) {
                exact.add(Keys.of(values[i]), 1);
                widen();
            }
        }
        for (; i < length; i++) {
            if (Math.abs(values[i]) <= Double.MAX_VALUE) {
                buckets[bucket(Keys.of(values[i]), bits)]++;
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
