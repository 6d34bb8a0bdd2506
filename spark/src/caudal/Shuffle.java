//! Brings the values of unresolved hash buckets together, equal ones at one place, and counts them there.
package caudal;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.spark.HashPartitioner;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import scala.Tuple2;

/** The only shuffle of the RDD pipeline whose size grows with the data: 8 bytes for each value in an open bucket. */
final class Shuffle {
    /** Values that one table counts, about: it fits in a processor's cache. */
    private static final long TABLE = 1 << 15;
    /** Values of one partition, about. */
    private static final long PARTITION = 1 << 22;
    private static final int CHUNK = 1 << 9;
    /** Values that the tables of a task hold back until a chunk is full. */
    private static final int HELD = 1 << 21;

    private Shuffle() {}

    /** The open buckets of one column. */
    static final class Wanted implements Serializable {
        private static final long serialVersionUID = 1;
        final int bits;
        final BitSet buckets;
        final long rows;
        /** Upper bits of a bucket's number that name its table. */
        int tableBits;

        Wanted(int bits, BitSet buckets, long rows) {
            this.bits = bits;
            this.buckets = buckets;
            this.rows = rows;
        }

        /** Whether a finite value is in an open bucket. */
        boolean holds(double x) {
            return Math.abs(x) <= Double.MAX_VALUE && buckets.get(Frequencies.bucket(Keys.of(x), bits));
        }
    }

    /** What was counted of one column. */
    static final class Counted implements Serializable {
        private static final long serialVersionUID = 1;
        long distinct;
        final Frequency best = new Frequency(0, 0);

        Counted merge(Counted other) {
            distinct += other.distinct;
            best.offer(other.best);
            return this;
        }
    }

    /** @param wanted by column; null where nothing is wanted
     * @return the same */
    static Counted[] count(JavaSparkContext sc, JavaRDD<Block> blocks, Wanted[] wanted) {
        long rows = 0;
        int open = 0;
        for (Wanted column : wanted) {
            rows += column == null ? 0 : column.rows;
            open += column == null ? 0 : 1;
        }
        for (Wanted column : wanted) {
            if (column != null) {
                column.tableBits = tableBits(column, open);
            }
        }
        int partitions = (int) Math.max(sc.defaultParallelism(), Math.min(100_000, rows / PARTITION + 1));
        Broadcast<Wanted[]> plan = sc.broadcast(wanted);
        JavaPairRDD<Integer, long[]> sent = blocks.mapPartitionsToPair(it -> new Sender(plan.value(), it));
        JavaPairRDD<Integer, Counted> counted = sent.partitionBy(new HashPartitioner(partitions))
            .mapPartitionsToPair(it -> countTables(plan.value(), it));
        Counted[] all = new Counted[wanted.length];
        for (Tuple2<Integer, Counted> column : counted.collect()) {
            all[column._1] = all[column._1] == null ? column._2 : all[column._1].merge(column._2);
        }
        plan.unpersist();
        return all;
    }

    private static int tableBits(Wanted column, int open) {
        int byRows = 64 - Long.numberOfLeadingZeros(column.rows / TABLE);
        int byMemory = 31 - Integer.numberOfLeadingZeros(Math.max(1, HELD / CHUNK / open));
        return Math.max(0, Math.min(column.bits, Math.min(byRows, byMemory)));
    }

    /** A table's number: its column, and the upper bits of the hash. */
    private static int table(int column, long hash, int tableBits) {
        return tableBits == 0 ? column << 16 : column << 16 | (int) (hash >>> (64 - tableBits));
    }

    /** Values by table, in chunks. */
    private static final class Sender implements Iterator<Tuple2<Integer, long[]>> {
        private final Wanted[] wanted;
        private final boolean[][] open;
        private final Iterator<Block> blocks;
        private final long[][][] held;
        private final int[][] sizes;
        private final List<Tuple2<Integer, long[]>> ready = new ArrayList<>();
        private boolean flushed;

        Sender(Wanted[] wanted, Iterator<Block> blocks) {
            this.wanted = wanted;
            this.blocks = blocks;
            open = new boolean[wanted.length][];
            held = new long[wanted.length][][];
            sizes = new int[wanted.length][];
            for (int c = 0; c < wanted.length; c++) {
                if (wanted[c] != null) {
                    boolean[] buckets = open[c] = new boolean[1 << wanted[c].bits];
                    wanted[c].buckets.stream().forEach(bucket -> buckets[bucket] = true);
                    held[c] = new long[1 << wanted[c].tableBits][];
                    sizes[c] = new int[1 << wanted[c].tableBits];
                }
            }
        }

        @Override
        public boolean hasNext() {
            while (ready.isEmpty() && blocks.hasNext()) {
                Block block = blocks.next();
                for (int c = 0; c < wanted.length; c++) {
                    if (wanted[c] != null) {
                        add(c, block.values[c], block.rows);
                    }
                }
            }
            if (ready.isEmpty() && !flushed) {
                flushed = true;
                flush();
            }
            return !ready.isEmpty();
        }

        private void add(int c, double[] values, int length) {
            int shift = 64 - wanted[c].bits;
            int tableBits = wanted[c].tableBits;
            for (int i = 0; i < length; i++) {
                if (Math.abs(values[i]) <= Double.MAX_VALUE) {
                    long key = Keys.of(values[i]);
                    long hash = Keys.hash(key);
                    if (open[c][(int) (hash >>> shift)]) {
                        send(c, tableBits == 0 ? 0 : (int) (hash >>> (64 - tableBits)), key, hash);
                    }
                }
            }
        }

        private void send(int c, int slot, long key, long hash) {
            long[] chunk = held[c][slot];
            if (chunk == null) {
                chunk = held[c][slot] = new long[CHUNK];
            }
            chunk[sizes[c][slot]++] = key;
            if (sizes[c][slot] == CHUNK) {
                ready.add(new Tuple2<>(table(c, hash, wanted[c].tableBits), chunk));
                held[c][slot] = null;
                sizes[c][slot] = 0;
            }
        }

        private void flush() {
            for (int c = 0; c < wanted.length; c++) {
                for (int slot = 0; held[c] != null && slot < held[c].length; slot++) {
                    if (sizes[c][slot] > 0) {
                        long[] rest = java.util.Arrays.copyOf(held[c][slot], sizes[c][slot]);
                        ready.add(new Tuple2<>(c << 16 | slot, rest));
                    }
                }
            }
        }

        @Override
        public Tuple2<Integer, long[]> next() {
            return ready.remove(ready.size() - 1);
        }
    }

    private static Iterator<Tuple2<Integer, Counted>> countTables(Wanted[] wanted, Iterator<Tuple2<Integer, long[]>> sent) {
        Map<Integer, List<long[]>> tables = new HashMap<>();
        while (sent.hasNext()) {
            Tuple2<Integer, long[]> chunk = sent.next();
            tables.computeIfAbsent(chunk._1, table -> new ArrayList<>()).add(chunk._2);
        }
        Map<Integer, Counted> columns = new HashMap<>();
        Table table = new Table();
        tables.forEach((number, chunks) -> table.count(chunks, columns.computeIfAbsent(number >>> 16, c -> new Counted())));
        List<Tuple2<Integer, Counted>> counted = new ArrayList<>();
        columns.forEach((column, count) -> counted.add(new Tuple2<>(column, count)));
        return counted.iterator();
    }

    /** A hash table that is used again and again. */
    private static final class Table {
        private long[] keys = new long[0];
        private int[] counts = new int[0];

        void count(List<long[]> chunks, Counted into) {
            long total = 0;
            for (long[] chunk : chunks) {
                total += chunk.length;
            }
            int capacity = Integer.highestOneBit((int) Math.min(1 << 28, Math.max(8, total))) * 4;
            if (keys.length < capacity) {
                keys = new long[capacity];
                counts = new int[capacity];
            } else {
                java.util.Arrays.fill(counts, 0, capacity, 0);
            }
            for (long[] chunk : chunks) {
                into.distinct += add(chunk, capacity - 1);
            }
            for (int slot = 0; slot < capacity; slot++) {
                if (counts[slot] > 0) {
                    into.best.offer(keys[slot], counts[slot]);
                }
            }
        }

        private int add(long[] chunk, int mask) {
            int different = 0;
            for (long key : chunk) {
                int slot = (int) (Keys.hash(key) >>> 4) & mask;
                while (counts[slot] != 0 && keys[slot] != key) {
                    slot = (slot + 1) & mask;
                }
                different += counts[slot] == 0 ? 1 : 0;
                keys[slot] = key;
                counts[slot]++;
            }
            return different;
        }
    }
}
