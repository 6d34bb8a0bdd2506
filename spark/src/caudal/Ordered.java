//! What is known of the order of a column's values: how many lie in which ranges of keys, and some of them one by one.
package caudal;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;

/**
 * Ascending ranges of keys that hold all finite values, with their counts. Ranks and thresholds are answered exactly, or name
 * the ranges that have to be looked into first.
 */
final class Ordered {
    /** A range of keys, both ends included; {@code values} holds its keys in order once they were fetched. */
    static final class Range {
        final long low;
        final long high;
        final long count;
        long[] values;

        Range(long low, long high, long count) {
            this.low = low;
            this.high = high;
            this.count = count;
        }

        boolean isOneValue() {
            return low == high;
        }

        boolean isOpen() {
            return count > 0 && values == null && !isOneValue();
        }
    }

    private List<Range> ranges = new ArrayList<>();
    /** Values before each range, and all of them behind the last. */
    private long[] before;
    /** Ranges that somebody asked about and that could not answer. */
    private final TreeSet<Integer> wanted = new TreeSet<>();
    private final long total;

    Ordered(List<Range> ranges) {
        put(ranges);
        total = before[before.length - 1];
    }

    /** Puts ranges that do not overlap into their order. */
    static void sort(List<Range> ranges) {
        ranges.sort((a, b) -> Long.compareUnsigned(a.low, b.low));
    }

    /** The ranges of a column's upper 16 bits, between its smallest and largest value. */
    static Ordered of(Prefixes prefixes, double min, double max) {
        long lowest = Keys.of(min);
        long highest = Keys.of(max);
        List<Range> ranges = new ArrayList<>();
        for (int prefix = (int) (lowest >>> 48); prefix <= (int) (highest >>> 48); prefix++) {
            long low = Keys.max((long) prefix << 48, lowest);
            long high = Keys.min((long) prefix << 48 | 0xffff_ffff_ffffL, highest);
            if (prefixes.count(prefix) > 0) {
                ranges.add(new Range(low, high, prefixes.count(prefix)));
            }
        }
        return new Ordered(ranges);
    }

    private void put(List<Range> next) {
        ranges = next;
        before = new long[ranges.size() + 1];
        for (int i = 0; i < ranges.size(); i++) {
            before[i + 1] = before[i] + ranges.get(i).count;
        }
    }

    /** The number of values below a key, or -1 while that is not known. */
    long below(long key) {
        int at = firstNotBelow(key);
        if (at == ranges.size() || !Keys.less(ranges.get(at).low, key)) {
            return before[at];
        }
        Range range = ranges.get(at);
        if (range.values == null) {
            wanted.add(at);
            return -1;
        }
        int inside = 0;
        int end = range.values.length;
        while (inside < end) {
            int middle = (inside + end) >>> 1;
            if (Keys.less(range.values[middle], key)) {
                inside = middle + 1;
            } else {
                end = middle;
            }
        }
        return before[at] + inside;
    }

    /** The first range whose upper end is not below a key. */
    private int firstNotBelow(long key) {
        int from = 0;
        int to = ranges.size();
        while (from < to) {
            int middle = (from + to) >>> 1;
            if (Keys.less(ranges.get(middle).high, key)) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        return from;
    }

    /** The keys between which the value of a rank lies; equal once it is known. */
    long[] at(long rank) {
        int at = Arrays.binarySearch(before, rank);
        at = at >= 0 ? at : -at - 2;
        while (ranges.get(at).count == 0) {
            at++;
        }
        Range range = ranges.get(at);
        if (range.values != null) {
            long key = range.values[(int) (rank - before[at])];
            return new long[] {key, key};
        }
        if (!range.isOneValue()) {
            wanted.add(at);
        }
        return new long[] {range.low, range.high};
    }

    /** Asks for every range that overlaps one of keys, so that thresholds within can be answered next time. */
    void want(long low, long high) {
        for (int i = firstNotBelow(low); i < ranges.size() && !Keys.less(high, ranges.get(i).low); i++) {
            if (ranges.get(i).isOpen()) {
                wanted.add(i);
            }
        }
    }

    long count() {
        return total;
    }

    /** The ranges that were asked about in vain since the last call, in order. */
    List<Range> takeWanted() {
        List<Range> open = new ArrayList<>();
        wanted.forEach(i -> open.add(ranges.get(i)));
        wanted.clear();
        return open;
    }

    /** Takes what a look into a range found in its place: parts of it in order, or the range with its values. */
    void replace(List<Range> old, List<List<Range>> parts) {
        List<Range> next = new ArrayList<>();
        int at = 0;
        for (Range range : ranges) {
            if (at < old.size() && old.get(at) == range) {
                next.addAll(parts.get(at++));
            } else {
                next.add(range);
            }
        }
        put(next);
    }
}
