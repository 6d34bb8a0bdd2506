//! Finite doubles as whole numbers in the same order, and exact scaling by powers of two.
package caudal;

/** A key orders as its double does, unsigned; neighbouring doubles have neighbouring keys, and -0.0 is 0.0. */
final class Keys {
    private static final long SIGN = 1L << 63;

    private Keys() {}

    static long of(double x) {
        long bits = Double.doubleToRawLongBits(x + 0.0);
        return (bits ^ ((bits >> 63) | SIGN)) + (bits >>> 63);
    }

    static double value(long key) {
        return Double.longBitsToDouble(key < 0 ? key ^ SIGN : ~(key - 1));
    }

    static long next(long key) {
        return key + 1;
    }

    /** Whether the key a lies below the key b. */
    static boolean less(long a, long b) {
        return a + Long.MIN_VALUE < b + Long.MIN_VALUE;
    }

    static long min(long a, long b) {
        return less(a, b) ? a : b;
    }

    static long max(long a, long b) {
        return less(a, b) ? b : a;
    }

    /** Spreads keys over all bits; the upper ones number hash buckets. */
    static long hash(long key) {
        long h = (key ^ (key >>> 32)) * 0x9E3779B97F4A7C15L;
        return h ^ (h >>> 29);
    }

    /** x·2^k rounded once; infinite where that is beyond double. */
    static double scaled(double x, int k) {
        if (x == 0 || k == 0 || Double.isInfinite(x) || Double.isNaN(x)) {
            return x;
        }
        return Math.scalb(x, k);
    }

    /** The e with 2^e at most |x| and |x| below 2^(e+1), for a finite x that is not 0. */
    static int exponent(double x) {
        int e = Math.getExponent(x);
        return e >= Double.MIN_EXPONENT ? e : -1011 - Long.numberOfLeadingZeros(Double.doubleToRawLongBits(Math.abs(x)));
    }
}
