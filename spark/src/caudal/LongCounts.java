//! A hash table from keys to counts, of primitive numbers, that grows up to a limit.
package caudal;

import java.io.Serializable;

final class LongCounts implements Serializable {
    private static final long serialVersionUID = 1;
    private long[] keys;
    /** 0 where the slot is free. */
    private long[] counts;
    private int size;

    interface Visitor {
        void visit(long key, long count);
    }

    LongCounts() {
        this(16);
    }

    LongCounts(int expected) {
        int capacity = Integer.highestOneBit(Math.max(8, expected)) * 4;
        keys = new long[capacity];
        counts = new long[capacity];
    }

    int size() {
        return size;
    }

    void add(long key, long count) {
        int slot = slot(key);
        if (counts[slot] == 0) {
            keys[slot] = key;
            if (++size * 2 > keys.length) {
                counts[slot] = count;
                grow();
                return;
            }
        }
        counts[slot] += count;
    }

    private int slot(long key) {
        int mask = keys.length - 1;
        // Other bits than those that number the hash buckets, which may all be the same here.
        int slot = (int) (Keys.hash(key) >>> 8) & mask;
        while (counts[slot] != 0 && keys[slot] != key) {
            slot = (slot + 1) & mask;
        }
        return slot;
    }

    private void grow() {
        long[] oldKeys = keys;
        long[] oldCounts = counts;
        keys = new long[oldKeys.length * 2];
        counts = new long[oldKeys.length * 2];
        for (int i = 0; i < oldKeys.length; i++) {
            if (oldCounts[i] != 0) {
                int slot = slot(oldKeys[i]);
                keys[slot] = oldKeys[i];
                counts[slot] = oldCounts[i];
            }
        }
    }

    void each(Visitor visitor) {
        for (int i = 0; i < keys.length; i++) {
            if (counts[i] != 0) {
                visitor.visit(keys[i], counts[i]);
            }
        }
    }

    void merge(LongCounts other) {
        other.each(this::add);
    }

    /** The most frequent key, the smallest of several; null of an empty table. */
    Frequency mode() {
        Frequency best = new Frequency(0, 0);
        each(best::offer);
        return size == 0 ? null : best;
    }

    private void writeObject(java.io.ObjectOutputStream out) throws java.io.IOException {
        out.writeInt(size);
        for (int i = 0; i < keys.length; i++) {
            if (counts[i] != 0) {
                out.writeLong(keys[i]);
                out.writeLong(counts[i]);
            }
        }
    }

    private void readObject(java.io.ObjectInputStream in) throws java.io.IOException {
        int entries = in.readInt();
        LongCounts read = new LongCounts(entries);
        for (int i = 0; i < entries; i++) {
            long key = in.readLong();
            read.add(key, in.readLong());
        }
        keys = read.keys;
        counts = read.counts;
        size = read.size;
    }
}
