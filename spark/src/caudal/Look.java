//! A later pass of the RDD pipeline: looks into ranges of values, and counts the values of the fullest hash buckets.
package caudal;

import java.io.Serializable;
import java.util.BitSet;
import java.util.Iterator;

/** What one partition, or several merged, found. */
final class Look implements Serializable {
    private static final long serialVersionUID = 1;

    /** What executors need to know of each column; null where there is nothing to do. */
    static final class Plan implements Serializable {
        private static final long serialVersionUID = 1;
        final Probe[] probes;
        final Hot[] hot;

        Plan(int columns) {
            probes = new Probe[columns];
            hot = new Hot[columns];
        }
    }

    /** Hash buckets whose values are counted one by one. */
    static final class Hot implements Serializable {
        private static final long serialVersionUID = 1;
        final int bits;
        final BitSet buckets;
        /** Different values that are counted, at most. */
        final int limit;

        Hot(int bits, BitSet buckets, int limit) {
            this.bits = bits;
            this.buckets = buckets;
            this.limit = limit;
        }

        private boolean[] wanted() {
            boolean[] wanted = new boolean[1 << bits];
            buckets.stream().forEach(bucket -> wanted[bucket] = true);
            return wanted;
        }
    }

    final Probe.Found[] found;
    /** Null where there was nothing to count, or more than the limit. */
    final LongCounts[] counts;

    private Look(Plan plan) {
        found = new Probe.Found[plan.probes.length];
        counts = new LongCounts[plan.probes.length];
        for (int c = 0; c < found.length; c++) {
            found[c] = plan.probes[c] == null ? null : plan.probes[c].begin();
            counts[c] = plan.hot[c] == null ? null : new LongCounts();
        }
    }

    static Look of(Plan plan, Iterator<Block> blocks) {
        Look look = new Look(plan);
        boolean[][] wanted = java.util.Arrays.stream(plan.hot).map(hot -> hot == null ? null : hot.wanted()).toArray(boolean[][]::new);
        while (blocks.hasNext()) {
            Block block = blocks.next();
            for (int c = 0; c < look.found.length; c++) {
                if (plan.probes[c] != null) {
                    plan.probes[c].add(block.values[c], block.rows, look.found[c]);
                }
                if (look.counts[c] != null) {
                    look.count(plan.hot[c], wanted[c], c, block);
                }
            }
        }
        return look;
    }

    private void count(Hot hot, boolean[] wanted, int column, Block block) {
        double[] values = block.values[column];
        LongCounts counted = counts[column];
        int shift = 64 - hot.bits;
        for (int i = 0; i < block.rows; i++) {
            double x = values[i];
            if (Math.abs(x) <= Double.MAX_VALUE) {
                long key = Keys.of(x);
                if (wanted[(int) (Keys.hash(key) >>> shift)]) {
                    counted.add(key, 1);
                }
            }
        }
        if (counted.size() > hot.limit) {
            counts[column] = null;
        }
    }

    Look merge(Look other) {
        for (int c = 0; c < found.length; c++) {
            if (found[c] != null) {
                found[c].merge(other.found[c]);
            }
            if (counts[c] != null && other.counts[c] != null) {
                counts[c].merge(other.counts[c]);
            } else {
                counts[c] = null;
            }
        }
        return this;
    }
}
