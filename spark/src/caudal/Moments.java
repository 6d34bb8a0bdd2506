//! The mergeable state of a column's moments: of one block of rows, or of several merged.
package caudal;

import java.io.Serializable;
import java.util.List;

/** NaN is missing, infinities are counted by sign. Sums are of x·2^-exponent about its mean (Pébay 2008, in double-double). */
final class Moments implements Serializable {
    private static final long serialVersionUID = 1;
    /** Magnitudes up to 2^±this keep fourth powers, and their rounding errors, inside double. */
    private static final int SAFE_EXPONENT = 150;
    private static final double LARGE = Math.scalb(1.0, SAFE_EXPONENT);
    private static final double SMALL = Math.scalb(1.0, -SAFE_EXPONENT);
    /** A block with a kurtosis above this has rows so far out that they are summed apart, in double-double. */
    private static final double HEAVY_TAIL = 256;
    private static final double FAR_OUT = 16;

    long rows;
    long missing;
    long positiveInfinite;
    long negativeInfinite;
    double min = Double.POSITIVE_INFINITY;
    double max = Double.NEGATIVE_INFINITY;
    int exponent;
    /** Mean, M2, M3, M4: the upper and the lower half of each. */
    private final double[] sums = new double[8];

    long count() {
        return rows - missing - positiveInfinite - negativeInfinite;
    }

    long infinite() {
        return positiveInfinite + negativeInfinite;
    }

    boolean isConstant() {
        return min == max;
    }

    /** Mean (0) or the sum of the second to fourth powers of the deviations (1 to 3). */
    Dd sum(int which) {
        return new Dd(sums[2 * which], sums[2 * which + 1]);
    }

    private void put(int which, Dd value) {
        sums[2 * which] = value.hi;
        sums[2 * which + 1] = value.lo;
    }

    /** The state of one block. */
    static Moments ofBlock(double[] values, int length) {
        Moments state = new Moments();
        state.rows = length;
        Sum sum = state.scan(values, length);
        long n = state.count();
        if (n == 0) {
            return state;
        }
        double largest = Math.max(Math.abs(state.min), Math.abs(state.max));
        double[] used = values;
        if (largest != 0 && (largest < SMALL || largest > LARGE)) {
            state.exponent = Keys.exponent(largest);
            used = new double[length];
            for (int i = 0; i < length; i++) {
                used[i] = Keys.scaled(values[i], -state.exponent);
            }
            sum = new Sum();
            sum.addAll(used, length);
        }
        PowerSums powers = new PowerSums(sum.total().hi / n, used, length, n);
        powers.into(state, n);
        return state;
    }

    private Sum scan(double[] values, int length) {
        Sum sum = new Sum();
        double low = Double.POSITIVE_INFINITY;
        double high = Double.NEGATIVE_INFINITY;
        for (int from = 0; from < length; from += Sum.CHUNK) {
            int to = Math.min(length, from + Sum.CHUNK);
            double chunk = 0;
            for (int i = from; i < to; i++) {
                double x = values[i];
                if (Math.abs(x) <= Double.MAX_VALUE) {
                    chunk += x;
                    low = x < low ? x : low;
                    high = x > high ? x : high;
                } else if (x != x) {
                    missing++;
                } else if (x > 0) {
                    positiveInfinite++;
                } else {
                    negativeInfinite++;
                }
            }
            sum.add(chunk);
        }
        min = low + 0.0;
        max = high + 0.0;
        return sum;
    }

    /** The state of these rows followed by those of another. */
    Moments merge(Moments later) {
        Moments merged = new Moments();
        merged.rows = rows + later.rows;
        merged.missing = missing + later.missing;
        merged.positiveInfinite = positiveInfinite + later.positiveInfinite;
        merged.negativeInfinite = negativeInfinite + later.negativeInfinite;
        merged.min = Math.min(min, later.min);
        merged.max = Math.max(max, later.max);
        if (count() == 0 || later.count() == 0) {
            Moments only = later.count() == 0 ? this : later;
            merged.exponent = only.exponent;
            System.arraycopy(only.sums, 0, merged.sums, 0, sums.length);
            return merged;
        }
        merged.exponent = Math.max(magnitude(), later.magnitude());
        merged.exponent = merged.exponent == Integer.MIN_VALUE ? 0 : merged.exponent;
        merged.pool(this, later);
        return merged;
    }

    /** The exponent of this state; the smallest number where only zeros were seen and any would do. */
    private int magnitude() {
        return min != 0 || max != 0 ? exponent : Integer.MIN_VALUE;
    }

    private void pool(Moments x, Moments y) {
        int sx = x.exponent - exponent;
        int sy = y.exponent - exponent;
        Dd n = Dd.of(x.count() + y.count());
        Dd shareX = Dd.of(x.count()).over(n);
        Dd shareY = Dd.of(y.count()).over(n);
        Dd x2 = x.sum(1).scaled(2 * sx);
        Dd y2 = y.sum(1).scaled(2 * sy);
        Dd x3 = x.sum(2).scaled(3 * sx);
        Dd y3 = y.sum(2).scaled(3 * sy);
        Dd meanX = x.sum(0).scaled(sx);
        Dd delta = y.sum(0).scaled(sy).minus(meanX);
        Dd square = delta.times(delta);
        Dd between = square.times(Dd.of(x.count())).times(shareY);
        put(0, meanX.plus(delta.times(shareY)));
        put(1, x2.plus(y2).plus(between).notNegative());
        Dd pull3 = shareX.times(y2).minus(shareY.times(x2));
        put(2, x3.plus(y3).plus(between.times(delta).times(shareX.minus(shareY))).plus(delta.times(pull3).times(3)));
        Dd xx = shareX.times(shareX);
        Dd yy = shareY.times(shareY);
        Dd shape = xx.minus(shareX.times(shareY)).plus(yy);
        Dd pull4 = shareX.times(y3).minus(shareY.times(x3));
        put(3, x.sum(3).scaled(4 * sx).plus(y.sum(3).scaled(4 * sy)).plus(between.times(square).times(shape))
            .plus(square.times(xx.times(y2).plus(yy.times(x2))).times(6)).plus(delta.times(pull4).times(4)).notNegative());
    }

    /** Merges states pairwise in their order, as a tree, so that errors grow with its height only. */
    static Moments mergeAll(List<Moments> states) {
        if (states.isEmpty()) {
            return new Moments();
        }
        if (states.size() == 1) {
            return states.get(0);
        }
        int half = Integer.highestOneBit(states.size() - 1);
        return mergeAll(states.subList(0, half)).merge(mergeAll(states.subList(half, states.size())));
    }

    /** A compensated sum of plain sums of short chunks. */
    private static final class Sum {
        static final int CHUNK = 64;
        private double sum;
        private double error;

        void add(double term) {
            double total = sum + term;
            double part = total - sum;
            error += (sum - (total - part)) + (term - part);
            sum = total;
        }

        void addAll(double[] values, int length) {
            for (int i = 0; i < length; i++) {
                if (Math.abs(values[i]) <= Double.MAX_VALUE) {
                    add(values[i]);
                }
            }
        }

        Dd total() {
            return Dd.sum(sum, error);
        }
    }

    /** Sums of the first four powers of x - center, for a centre near the mean. */
    private static final class PowerSums {
        private final double center;
        private final Sum[] sums = {new Sum(), new Sum(), new Sum(), new Sum()};
        private final Dd[] apart = {Dd.ZERO, Dd.ZERO, Dd.ZERO, Dd.ZERO};

        PowerSums(double center, double[] values, int length, long n) {
            this.center = center;
            add(values, length, Double.MAX_VALUE);
            double s2 = sums[1].total().hi;
            if (n * sums[3].total().hi / (s2 * s2) > HEAVY_TAIL) {
                double reach = FAR_OUT * Math.sqrt(s2 / n);
                for (int k = 0; k < 4; k++) {
                    sums[k] = new Sum();
                }
                add(values, length, reach);
                addFar(values, length, reach);
            }
        }

        private void add(double[] values, int length, double reach) {
            for (int from = 0; from < length; from += Sum.CHUNK) {
                int to = Math.min(length, from + Sum.CHUNK);
                double s1 = 0;
                double s2 = 0;
                double s3 = 0;
                double s4 = 0;
                for (int i = from; i < to; i++) {
                    double d = values[i] - center;
                    if (Math.abs(d) <= reach) {
                        double square = d * d;
                        s1 += d;
                        s2 += square;
                        s3 += square * d;
                        s4 += square * square;
                    }
                }
                sums[0].add(s1);
                sums[1].add(s2);
                sums[2].add(s3);
                sums[3].add(s4);
            }
        }

        private void addFar(double[] values, int length, double reach) {
            for (int i = 0; i < length; i++) {
                double x = values[i];
                if (Math.abs(x) <= Double.MAX_VALUE && Math.abs(x - center) > reach) {
                    Dd d = Dd.sum(x, -center);
                    Dd square = d.times(d);
                    apart[0] = apart[0].plus(d);
                    apart[1] = apart[1].plus(square);
                    apart[2] = apart[2].plus(square.times(d));
                    apart[3] = apart[3].plus(square.times(square));
                }
            }
        }

        /** Moves the sums from the centre to the mean. */
        void into(Moments state, long n) {
            Dd s1 = sums[0].total().plus(apart[0]);
            Dd s2 = sums[1].total().plus(apart[1]);
            Dd s3 = sums[2].total().plus(apart[2]);
            Dd s4 = sums[3].total().plus(apart[3]);
            Dd offset = s1.over(Dd.of(n));
            state.put(0, Dd.of(center).plus(offset));
            state.put(1, s2.minus(offset.times(s1)).notNegative());
            state.put(2, s3.minus(offset.times(s2.times(3).minus(offset.times(s1).times(2)))));
            Dd inner = s2.times(6).minus(offset.times(s1).times(3));
            state.put(3, s4.minus(offset.times(s3.times(4).minus(offset.times(inner)))).notNegative());
        }
    }
}
