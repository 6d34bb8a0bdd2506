//! Which group of a look a value belongs to, and what the groups say together.
package caudal;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.sql.Row;

/** A value is a group by itself where its range is fetched or its hash bucket is hot; others belong to a part of a range. */
final class Groups {
    static final int NONE = -1;
    static final int SINGLE = -2;
    private final Look.Plan plan;
    private final List<List<Long>> fetched = new ArrayList<>();
    private final Ordered.Range[][] parts;
    private final LongCounts[] counts;

    /** What executors need. */
    static final class Places implements Serializable {
        private static final long serialVersionUID = 1;
        private final Probe[] probes;
        private final Shuffle.Wanted[] hot;

        Places(Look.Plan plan) {
            probes = plan.probes;
            hot = new Shuffle.Wanted[plan.hot.length];
            for (int c = 0; c < hot.length; c++) {
                hot[c] = plan.hot[c] == null ? null : new Shuffle.Wanted(plan.hot[c].bits, plan.hot[c].buckets, 0);
            }
        }

        int of(int column, double x) {
            if (!(Math.abs(x) <= Double.MAX_VALUE)) {
                return NONE;
            }
            if (hot[column] != null && hot[column].holds(x)) {
                return SINGLE;
            }
            return probes[column] == null ? NONE : probes[column].place(Keys.of(x));
        }
    }

    Groups(Look.Plan plan) {
        this.plan = plan;
        int columns = plan.probes.length;
        parts = new Ordered.Range[columns][];
        counts = new LongCounts[columns];
        for (int c = 0; c < columns; c++) {
            fetched.add(new ArrayList<>());
            parts[c] = plan.probes[c] == null ? null : new Ordered.Range[plan.probes[c].counters()];
            counts[c] = new LongCounts();
        }
    }

    Places places() {
        return new Places(plan);
    }

    /** Takes a group: column, place, the value of a single one or null, count, minimum, maximum. */
    void add(Row row) {
        int c = row.getInt(0);
        int place = row.getInt(1);
        long count = row.getLong(3);
        long low = Keys.of(row.getDouble(4));
        long high = Keys.of(row.getDouble(5));
        if (place == SINGLE) {
            if (plan.hot[c] != null && plan.hot[c].buckets.get(Frequencies.bucket(low, plan.hot[c].bits))) {
                counts[c].add(low, count);
            }
            place = plan.probes[c] == null ? NONE : plan.probes[c].place(low);
        }
        if (place == SINGLE) {
            for (long i = 0; i < count; i++) {
                fetched.get(c).add(low);
            }
        } else if (place >= 0) {
            Ordered.Range old = parts[c][place];
            parts[c][place] = old == null ? new Ordered.Range(low, high, count)
                : new Ordered.Range(Keys.min(old.low, low), Keys.max(old.high, high), old.count + count);
        }
    }

    /** What takes the place of each range that was looked into. */
    List<List<Ordered.Range>> parts(int column, List<Ordered.Range> ranges) {
        long[] values = fetched.get(column).stream().mapToLong(Long::longValue).toArray();
        return plan.probes[column].parts(ranges, values, part -> parts[column][part]);
    }

    /** How often the values of hot buckets occur. */
    LongCounts counts(int column) {
        return counts[column];
    }
}
