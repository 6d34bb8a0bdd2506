//! Moments of every column and nothing else, by partition.
package caudal;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.TreeMap;

final class Proof implements Serializable {
    private static final long serialVersionUID = 1;
    private final TreeMap<Integer, Moments[]> partitions = new TreeMap<>();

    static Proof of(int partition, Iterator<Block> blocks, int columns) {
        MergeStack[] stacks = new MergeStack[columns];
        java.util.Arrays.setAll(stacks, c -> new MergeStack());
        while (blocks.hasNext()) {
            Block block = blocks.next();
            for (int c = 0; c < columns; c++) {
                stacks[c].add(Moments.ofBlock(block.values[c], block.rows));
            }
        }
        Proof proof = new Proof();
        proof.partitions.put(partition, java.util.Arrays.stream(stacks).map(MergeStack::all).toArray(Moments[]::new));
        return proof;
    }

    Proof merge(Proof other) {
        partitions.putAll(other.partitions);
        return this;
    }

    Moments moments(int column) {
        List<Moments> states = new ArrayList<>();
        partitions.values().forEach(partition -> states.add(partition[column]));
        return Moments.mergeAll(states);
    }
}
