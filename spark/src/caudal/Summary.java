//! What the moments of a column say in its units: null where a result is beyond double.
package caudal;

import java.util.ArrayList;
import java.util.List;

/** Fields are null where the contract says null; {@code overflowed} names those beyond double. */
final class Summary {
    final Moments moments;
    final long count;
    final List<String> overflowed = new ArrayList<>();
    Double sum = 0.0;
    Double mean;
    Double variance;
    Double stdDev;
    Double varianceSample;
    Double stdDevSample;
    Double min;
    Double max;
    Double range;
    Double skewness;
    Double kurtosis;

    Summary(Moments moments) {
        this.moments = moments;
        count = moments.count();
        if (count > 0) {
            location();
            spread();
            range = kept("range", moments.max - moments.min);
            if (!moments.isConstant()) {
                shape();
            }
        }
    }

    boolean isConstant() {
        return count > 0 && moments.isConstant();
    }

    private Double kept(String name, double value) {
        if (Double.isInfinite(value) || Double.isNaN(value)) {
            overflowed.add(name);
            return null;
        }
        return value + 0.0;
    }

    private void location() {
        Dd center = moments.sum(0);
        sum = kept("sum", Keys.scaled(center.times(Dd.of(count)).hi, moments.exponent));
        double value = Keys.scaled(center.hi, moments.exponent) + 0.0;
        mean = Math.min(Math.max(value, moments.min), moments.max);
        min = moments.min;
        max = moments.max;
    }

    private void spread() {
        Dd m2 = moments.isConstant() ? Dd.ZERO : moments.sum(1);
        int e = moments.exponent;
        double population = m2.over(Dd.of(count)).hi;
        variance = kept("variance", Keys.scaled(population, 2 * e));
        // At most half of the range, and therefore never beyond double.
        stdDev = Math.min(Keys.scaled(Math.sqrt(population), e), Double.MAX_VALUE);
        if (count > 1) {
            double sample = m2.over(Dd.of(count - 1)).hi;
            varianceSample = kept("variance_sample", Keys.scaled(sample, 2 * e));
            stdDevSample = kept("std_dev_sample", Keys.scaled(Math.sqrt(sample), e));
        }
    }

    private void shape() {
        double second = moments.sum(1).hi;
        if (second <= 0) {
            return;
        }
        int half = Math.floorDiv(Keys.exponent(second), 2);
        double m2 = Keys.scaled(second, -2 * half);
        double m3 = Keys.scaled(moments.sum(2).hi, -3 * half);
        double m4 = Keys.scaled(moments.sum(3).hi, -4 * half);
        skewness = Math.sqrt((double) count) * m3 / (m2 * Math.sqrt(m2)) + 0.0;
        kurtosis = count * m4 / (m2 * m2) - 3.0 + 0.0;
    }
}
