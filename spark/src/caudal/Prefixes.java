//! Counts of keys by their upper 16 bits, in pages that exist only where values are.
package caudal;

import java.io.Serializable;

final class Prefixes implements Serializable {
    private static final long serialVersionUID = 1;
    private final long[][] pages = new long[256][];

    void add(long key) {
        long[] page = pages[(int) (key >>> 56)];
        if (page == null) {
            page = pages[(int) (key >>> 56)] = new long[256];
        }
        page[(int) (key >>> 48) & 255]++;
    }

    void merge(Prefixes other) {
        for (int i = 0; i < 256; i++) {
            if (pages[i] == null) {
                pages[i] = other.pages[i];
            } else if (other.pages[i] != null) {
                for (int j = 0; j < 256; j++) {
                    pages[i][j] += other.pages[i][j];
                }
            }
        }
    }

    /** How many keys begin with these 16 bits. */
    long count(int prefix) {
        long[] page = pages[prefix >>> 8];
        return page == null ? 0 : page[prefix & 255];
    }
}
