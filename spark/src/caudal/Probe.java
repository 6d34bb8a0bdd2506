//! A look into some ranges of keys of one column: the values of the small ones are fetched, the others are counted in parts.
package caudal;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;

/** What executors need to know; {@link Found} is what they bring back. Ranges are ascending and do not overlap. */
final class Probe implements Serializable {
    private static final long serialVersionUID = 1;
    private static final int MOST_BITS = 11;
    private final long[] low;
    private final long[] high;
    /** Bits by which an offset is shifted to give its part; -1 where values are fetched. */
    private final int[] shift;
    /** Where the counters of a range begin, with one behind the last. */
    private final int[] first;
    /** By the upper 8 and the next 8 bits: one more than the first range that such a key may lie in; 0 for none. */
    private final short[][] lookup = new short[256][];

    /** What was found of one column. */
    static final class Found implements Serializable {
        private static final long serialVersionUID = 1;
        long[] counters;
        long[] values = new long[16];
        int size;

        private void fetch(long key) {
            if (size == values.length) {
                values = java.util.Arrays.copyOf(values, size * 2);
            }
            values[size++] = key;
        }

        void merge(Found other) {
            for (int i = 0; i < counters.length; i++) {
                counters[i] += other.counters[i];
            }
            values = java.util.Arrays.copyOf(values, Math.max(16, size + other.size));
            System.arraycopy(other.values, 0, values, size, other.size);
            size += other.size;
        }

        private void writeObject(java.io.ObjectOutputStream out) throws java.io.IOException {
            values = java.util.Arrays.copyOf(values, size);
            out.defaultWriteObject();
        }
    }

    /** @param fetched how many values of one range may be fetched, about 2,000 at most of 65,536 columns */
    Probe(List<Ordered.Range> ranges, long fetched) {
        int n = ranges.size();
        low = new long[n];
        high = new long[n];
        shift = new int[n];
        first = new int[n + 1];
        for (int i = 0; i < n; i++) {
            Ordered.Range range = ranges.get(i);
            low[i] = range.low;
            high[i] = range.high;
            int width = 64 - Long.numberOfLeadingZeros(range.high - range.low);
            shift[i] = range.count <= fetched ? -1 : Math.max(0, width - bits(range.count, fetched));
            first[i + 1] = first[i] + (shift[i] < 0 ? 0 : parts(i));
            enter(i);
        }
    }

    /** Enough parts that the next look can fetch, were the values spread evenly, and some more since they are not. */
    private static int bits(long count, long fetched) {
        return Math.min(MOST_BITS, 67 - Long.numberOfLeadingZeros(count / fetched));
    }

    private int parts(int range) {
        return (int) ((high[range] - low[range]) >>> shift[range]) + 1;
    }

    private void enter(int range) {
        for (int prefix = (int) (low[range] >>> 48); prefix <= (int) (high[range] >>> 48); prefix++) {
            short[] page = lookup[prefix >>> 8];
            if (page == null) {
                page = lookup[prefix >>> 8] = new short[256];
            }
            if (page[prefix & 255] == 0) {
                page[prefix & 255] = (short) (range + 1);
            }
        }
    }

    /** How many parts are counted. */
    int counters() {
        return first[low.length];
    }

    /** The part of a key, {@link Groups#SINGLE} where its range is fetched, {@link Groups#NONE} where it is in none. */
    int place(long key) {
        short[] page = lookup[(int) (key >>> 56)];
        int from = page == null ? 0 : page[(int) (key >>> 48) & 255];
        int range = from == 0 ? -1 : rangeOf(key, from - 1);
        if (range < 0) {
            return Groups.NONE;
        }
        return shift[range] < 0 ? Groups.SINGLE : first[range] + (int) ((key - low[range]) >>> shift[range]);
    }

    Found begin() {
        Found found = new Found();
        found.counters = new long[first[low.length]];
        return found;
    }

    void add(double[] values, int length, Found found) {
        for (int i = 0; i < length; i++) {
            double x = values[i];
            if (Math.abs(x) <= Double.MAX_VALUE) {
                long key = Keys.of(x);
                short[] page = lookup[(int) (key >>> 56)];
                int range = page == null ? 0 : page[(int) (key >>> 48) & 255];
                if (range > 0) {
                    add(key, range - 1, found);
                }
            }
        }
    }

    private void add(long key, int from, Found found) {
        int range = rangeOf(key, from);
        if (range < 0) {
            return;
        }
        if (shift[range] < 0) {
            found.fetch(key);
        } else {
            found.counters[first[range] + (int) ((key - low[range]) >>> shift[range])]++;
        }
    }

    /** The range that a key lies in, or -1. */
    private int rangeOf(long key, int from) {
        int range = from;
        int end = low.length;
        if (Keys.less(high[range], key)) {
            while (range < end) {
                int middle = (range + end) >>> 1;
                if (Keys.less(high[middle], key)) {
                    range = middle + 1;
                } else {
                    end = middle;
                }
            }
        }
        return range < low.length && !Keys.less(key, low[range]) ? range : -1;
    }

    /** A counted part; null where there is none. */
    interface Parts {
        Ordered.Range of(int part);
    }

    /** What takes the place of each range. */
    List<List<Ordered.Range>> parts(List<Ordered.Range> ranges, Found found) {
        return parts(ranges, java.util.Arrays.copyOf(found.values, found.size), part -> range(part, found.counters[part]));
    }

    /** The same from the values of all fetched ranges and the parts of the others. */
    List<List<Ordered.Range>> parts(List<Ordered.Range> ranges, long[] fetched, Parts counted) {
        long[] values = sorted(fetched);
        List<List<Ordered.Range>> all = new ArrayList<>();
        int at = 0;
        for (int i = 0; i < ranges.size(); i++) {
            List<Ordered.Range> parts = new ArrayList<>();
            if (shift[i] < 0) {
                Ordered.Range range = ranges.get(i);
                range.values = java.util.Arrays.copyOfRange(values, at, at + (int) range.count);
                at += range.values.length;
                parts.add(range);
            }
            for (int part = first[i]; part < first[i + 1]; part++) {
                Ordered.Range range = counted.of(part);
                if (range != null) {
                    parts.add(range);
                }
            }
            all.add(parts);
        }
        return all;
    }

    private static long[] sorted(long[] keys) {
        for (int i = 0; i < keys.length; i++) {
            keys[i] ^= Long.MIN_VALUE;
        }
        java.util.Arrays.sort(keys);
        for (int i = 0; i < keys.length; i++) {
            keys[i] ^= Long.MIN_VALUE;
        }
        return keys;
    }

    private Ordered.Range range(int part, long count) {
        if (count == 0) {
            return null;
        }
        int at = java.util.Arrays.binarySearch(first, part);
        int range = at >= 0 ? at : -at - 2;
        // A fetched range has no parts, so that the next one begins at the same number.
        while (first[range + 1] <= part) {
            range++;
        }
        while (first[range] > part) {
            range--;
        }
        long begin = low[range] + ((long) (part - first[range]) << shift[range]);
        return new Ordered.Range(begin, Keys.min(begin + (1L << shift[range]) - 1, high[range]), count);
    }
}
