//! Double-double numbers: an unevaluated sum of two doubles with about 106 bits, for sums and merges.
package caudal;

/** {@code hi + lo} with |lo| at most half an ulp of hi. Callers keep exponents far from the ends of double. */
final class Dd {
    static final Dd ZERO = new Dd(0, 0);
    /** 2^27 + 1 cuts a double into two halves of 26 bits (Veltkamp). */
    private static final double SPLITTER = 134217729.0;

    final double hi;
    final double lo;

    Dd(double hi, double lo) {
        this.hi = hi;
        this.lo = lo;
    }

    static Dd of(double x) {
        return new Dd(x, 0);
    }

    /** Exact for every count up to 2^63. */
    static Dd of(long n) {
        long low = n & 0xffff_ffffL;
        return sum((double) (n - low), (double) low);
    }

    /** The exact sum of two doubles (Knuth). */
    static Dd sum(double a, double b) {
        double sum = a + b;
        double part = sum - a;
        return new Dd(sum, (a - (sum - part)) + (b - part));
    }

    /** As {@link #sum} for |a| at least |b| (Dekker). */
    private static Dd quickSum(double a, double b) {
        double hi = a + b;
        return new Dd(hi, b - (hi - a));
    }

    /** The exact product of two doubles; Java 8 has no fused multiply-add. */
    private static Dd product(double a, double b) {
        double product = a * b;
        double ca = SPLITTER * a;
        double cb = SPLITTER * b;
        double ah = ca - (ca - a);
        double bh = cb - (cb - b);
        double al = a - ah;
        double bl = b - bh;
        return new Dd(product, ((ah * bh - product) + ah * bl + al * bh) + al * bl);
    }

    Dd plus(Dd other) {
        Dd high = sum(hi, other.hi);
        Dd low = sum(lo, other.lo);
        Dd first = quickSum(high.hi, high.lo + low.hi);
        return quickSum(first.hi, first.lo + low.lo);
    }

    Dd minus(Dd other) {
        return plus(new Dd(-other.hi, -other.lo));
    }

    Dd times(Dd other) {
        Dd product = product(hi, other.hi);
        return quickSum(product.hi, product.lo + (hi * other.lo + lo * other.hi));
    }

    Dd times(double factor) {
        Dd product = product(hi, factor);
        return quickSum(product.hi, product.lo + lo * factor);
    }

    Dd over(Dd divisor) {
        double first = hi / divisor.hi;
        Dd rest = minus(divisor.times(first));
        double second = rest.hi / divisor.hi;
        double third = rest.minus(divisor.times(second)).hi / divisor.hi;
        return quickSum(first, second).plus(of(third));
    }

    /** A value that cannot be negative by its meaning, freed from a rounding error below 0. */
    Dd notNegative() {
        return hi < 0 ? ZERO : this;
    }

    /** Both parts times 2^k. */
    Dd scaled(int k) {
        return k == 0 ? this : new Dd(Keys.scaled(hi, k), Keys.scaled(lo, k));
    }
}
