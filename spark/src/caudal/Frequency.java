//! A value and how often it occurs, as the best of those that were offered.
package caudal;

import java.io.Serializable;

final class Frequency implements Serializable {
    private static final long serialVersionUID = 1;
    long key;
    /** 0 while nothing was offered. */
    long count;

    Frequency(long key, long count) {
        this.key = key;
        this.count = count;
    }

    /** Keeps what is more frequent, and of equals the smaller value. */
    void offer(long otherKey, long otherCount) {
        if (otherCount > count || otherCount == count && Keys.less(otherKey, key)) {
            key = otherKey;
            count = otherCount;
        }
    }

    void offer(Frequency other) {
        if (other != null && other.count > 0) {
            offer(other.key, other.count);
        }
    }
}
