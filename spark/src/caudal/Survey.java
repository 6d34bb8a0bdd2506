//! The first pass of the RDD pipeline: moments, prefixes and frequencies of every column.
package caudal;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.TreeMap;

/** Counts merge in any order; moments are kept by partition and merged at the end, in the order of the partitions. */
final class Survey implements Serializable {
    private static final long serialVersionUID = 1;
    private final TreeMap<Integer, Moments[]> moments = new TreeMap<>();
    final Prefixes[] prefixes;
    final Frequencies[] frequencies;
    final long[] inexact;

    private Survey(int columns) {
        prefixes = new Prefixes[columns];
        frequencies = new Frequencies[columns];
        inexact = new long[columns];
        int bits = bucketBits(columns);
        for (int c = 0; c < columns; c++) {
            prefixes[c] = new Prefixes();
            frequencies[c] = new Frequencies(bits, 1 << (bits - 4));
        }
    }

    /** 2^16 hash buckets, fewer where there are many columns: 2^22 of all together at most, and 2^10 of each at least. */
    static int bucketBits(int columns) {
        int halvings = 32 - Integer.numberOfLeadingZeros(Math.max(1, columns) - 1);
        return Math.max(10, Math.min(16, 22 - halvings));
    }

    static Survey of(int partition, Iterator<Block> blocks, int columns) {
        Survey survey = new Survey(columns);
        MergeStack[] stacks = new MergeStack[columns];
        java.util.Arrays.setAll(stacks, c -> new MergeStack());
        while (blocks.hasNext()) {
            Block block = blocks.next();
            for (int c = 0; c < columns; c++) {
                survey.inexact[c] += block.inexact[c];
                survey.frequencies[c].add(block.values[c], block.rows, survey.prefixes[c]);
                stacks[c].add(Moments.ofBlock(block.values[c], block.rows));
            }
        }
        survey.moments.put(partition, java.util.Arrays.stream(stacks).map(MergeStack::all).toArray(Moments[]::new));
        return survey;
    }

    Survey merge(Survey other) {
        moments.putAll(other.moments);
        for (int c = 0; c < inexact.length; c++) {
            inexact[c] += other.inexact[c];
            prefixes[c].merge(other.prefixes[c]);
            frequencies[c].merge(other.frequencies[c]);
        }
        return this;
    }

    Moments moments(int column) {
        List<Moments> states = new ArrayList<>();
        moments.values().forEach(partition -> states.add(partition[column]));
        return Moments.mergeAll(states);
    }
}
